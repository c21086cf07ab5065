"""The reconcile function: read the resource and its facts from the caches, plan, execute."""

import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from fairlead.api.base import ObjectMeta, Resource, StatusModel
from fairlead.api.model_deployment import ModelDeployment, ModelDeploymentStatus
from fairlead.api.sweep import Sweep
from fairlead.api.sweep_status import SweepStatus
from fairlead.api.training_job import TrainingJob
from fairlead.api.training_job_status import TrainingJobStatus
from fairlead.core.conditions import DesiredCondition, Rejection, summarize, update_conditions
from fairlead.core.model_deployment.plan import plan_model_deployment
from fairlead.core.plan import Plan
from fairlead.core.sweep.plan import plan_sweep
from fairlead.core.sweep.summary import derive_sweep_changes
from fairlead.core.training_job.plan import plan_training_job
from fairlead.core.training_job.summary import derive_changes
from fairlead.handlers import metrics
from fairlead.handlers.queue import Backoff
from fairlead.kube.errors import ApiError, StatusConflict
from fairlead.kube.execute import Writer
from fairlead.kube.kinds import MODEL_DEPLOYMENT, SWEEP, TRAINING_JOB, Key, Kind
from fairlead.kube.observe import Sources, observe_deployment, observe_job, observe_sweep
from fairlead.kube.resources import ResourceCache, StoredResource

_log = logging.getLogger(__name__)

_CONFLICT_SECONDS = 0.05
"""How soon to reconcile again after a write conflict."""


@dataclass(frozen=True)
class Context:
    """The dependencies of a reconcile."""

    writer: Writer
    resources: ResourceCache
    sources: Sources


@dataclass(frozen=True)
class _Reconciler:
    """The parts that differ between kinds."""

    kind: Kind
    model: type[Resource]
    status: type[StatusModel]
    plan: Callable[[Sources, Any, datetime, Rejection | None], Awaitable[Plan]]
    """Observes and plans; the finding is why the API server has just rejected a child."""


async def _plan_job(sources: Sources, job: TrainingJob, now: datetime, rejection: Rejection | None) -> Plan:
    observed = observe_job(sources, job, rejection)
    return plan_training_job(job, observed, sources.settings, now, secrets.token_hex(32))


async def _plan_deployment(
    sources: Sources, deployment: ModelDeployment, now: datetime, rejection: Rejection | None
) -> Plan:
    observed = observe_deployment(sources, deployment, rejection)
    return plan_model_deployment(deployment, observed, sources.settings, now, secrets.token_hex(32))


async def _plan_sweep(sources: Sources, sweep: Sweep, now: datetime, rejection: Rejection | None) -> Plan:
    return plan_sweep(sweep, observe_sweep(sources, sweep, rejection), now)


RECONCILERS = {
    "TrainingJob": _Reconciler(TRAINING_JOB, TrainingJob, TrainingJobStatus, _plan_job),
    "ModelDeployment": _Reconciler(MODEL_DEPLOYMENT, ModelDeployment, ModelDeploymentStatus, _plan_deployment),
    "Sweep": _Reconciler(SWEEP, Sweep, SweepStatus, _plan_sweep),
}


async def reconcile(context: Context, key: Key) -> float | None:
    """Reconcile a resource; return the seconds until the next reconcile, or None."""
    stored = context.resources.get(key)
    if stored is None or stored.deleting or stored.foreign:
        context.sources.reports.drop(key)
        context.sources.store.forget(key)
        context.sources.answers.forget(key)
        context.sources.traffic.forget(key)
        context.sources.prometheus.forget(key)
        context.sources.monitors.forget(key)
        context.sources.gpus.forget(key)
        context.sources.samplers.forget(key)
        context.writer.forget(key)
        return None  # garbage collection deletes its children
    reconciler = RECONCILERS[key.kind]
    with metrics.SECONDS.labels(key.kind).time():
        again = await _reconcile(context, reconciler, stored)
    metrics.RECONCILES.labels(key.kind, "done").inc()
    return again


async def _reconcile(context: Context, reconciler: _Reconciler, stored: StoredResource) -> float | None:
    now = datetime.now(UTC)
    try:
        resource: Resource = stored.model or reconciler.model.model_validate(stored.load())
    except ValidationError as error:
        message = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        await _report_invalid(context, reconciler, stored, message, now)
        return None  # only a change of the spec can fix it, and that triggers a reconcile
    stored.model = resource
    try:
        return await _execute(context, reconciler, stored, resource, now)
    except StatusConflict:
        return await _refresh(context, reconciler.kind, stored)


async def _execute(
    context: Context, reconciler: _Reconciler, stored: StoredResource, resource: Resource, now: datetime
) -> float | None:
    """Plan and execute; if a child is rejected, plan again with this fact and back off."""
    plan = await reconciler.plan(context.sources, resource, now, None)
    rejected: ApiError | None = None
    try:
        writes = await _write(context, reconciler, stored, resource, plan)
    except ApiError as error:
        if not error.rejected:
            raise
        rejected = error
        _log.warning("%s %s/%s: %s", reconciler.kind.kind, stored.namespace, stored.name, error)
        # what is applied last is rejected after the status was written
        current = stored.model or resource
        rejection = Rejection("Rejected", error.message, error.child, error.invalid)
        plan = await reconciler.plan(context.sources, current, now, rejection)
        writes = await _write(context, reconciler, stored, current, plan)
    metrics.WRITES.labels(reconciler.kind.kind).inc(writes)
    if rejected:
        raise Backoff(plan.requeue_after) from rejected
    if plan.requeue_after is None:
        stored.model = None
    return plan.requeue_after


async def _write(
    context: Context, reconciler: _Reconciler, stored: StoredResource, resource: Resource, plan: Plan
) -> int:
    """Execute a plan; return the number of writes. A status counts once it is written, whatever else failed."""
    before = stored.model or resource
    try:
        return await context.writer.execute(stored, resource, reconciler.kind, plan)
    finally:
        after = stored.model or resource
        if isinstance(before, TrainingJob) and isinstance(after, TrainingJob) and after.status is not before.status:
            metrics.record(before, derive_changes(before, after.status))
        if isinstance(before, Sweep) and isinstance(after, Sweep) and after.status is not before.status:
            metrics.record_sweep(before, derive_sweep_changes(before, after.status))


async def _refresh(context: Context, kind: Kind, stored: StoredResource) -> float:
    """Read a resource whose cached version is outdated, after a conflict."""
    obj = await context.writer.kube.find(kind, stored.name, stored.namespace)
    if obj is None or obj["metadata"]["uid"] != stored.uid:
        context.resources.forget(stored.uid, stored.version)
    if obj is not None:
        context.resources.put(kind, obj, own=True)
    return _CONFLICT_SECONDS


async def _report_invalid(
    context: Context, reconciler: _Reconciler, stored: StoredResource, message: str, now: datetime
) -> None:
    """Report that a stored resource is invalid; a finished one keeps its verdict."""
    obj = stored.load()
    meta = ObjectMeta.model_validate(obj["metadata"])
    before: Any = reconciler.status.model_validate(obj.get("status") or {})
    _log.warning("%s %s/%s: InvalidSpec: %s", reconciler.kind.kind, meta.namespace, meta.name, message)
    if getattr(before, "completion_time", None):
        return
    desired = [
        DesiredCondition("Ready", False, "InvalidSpec", message),
        DesiredCondition("Reconciling", False, "InvalidSpec", ""),
        DesiredCondition("Stalled", True, "InvalidSpec", summarize(message)),
    ]
    conditions = update_conditions(before.conditions, desired, meta.generation, now)
    status = before.model_copy(update={"conditions": conditions, "observed_generation": meta.generation})
    written = await context.writer.write_status(reconciler.kind, stored, before, status)
    metrics.WRITES.labels(reconciler.kind.kind).inc(written)
