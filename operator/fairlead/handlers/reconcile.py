"""The reconcile function: read the resource and its facts from the caches, plan, execute."""

import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
from pydantic import ValidationError

from fairlead.api.base import ObjectMeta, Resource, StatusModel
from fairlead.api.model_deployment import ModelDeployment, ModelDeploymentStatus
from fairlead.api.training_job import TrainingJob, TrainingJobStatus
from fairlead.core.conditions import DesiredCondition, merge_conditions
from fairlead.core.model_deployment.plan import plan_model_deployment
from fairlead.core.plan import Plan
from fairlead.core.settings import Settings
from fairlead.core.training_job.plan import plan_training_job
from fairlead.handlers import metrics
from fairlead.kube.errors import ApiError, StatusConflict
from fairlead.kube.execute import Writer
from fairlead.kube.kinds import MODEL_DEPLOYMENT, TRAINING_JOB, Key, Kind
from fairlead.kube.observe import observe_deployment, observe_job
from fairlead.kube.reports import Reports
from fairlead.kube.resources import ResourceCache, StoredResource

_log = logging.getLogger(__name__)

_CONFLICT_SECONDS = 0.05
"""How soon to reconcile again after a write conflict."""


@dataclass(frozen=True)
class Context:
    """The dependencies of a reconcile."""

    writer: Writer
    resources: ResourceCache
    reports: Reports
    http: aiohttp.ClientSession
    settings: Settings


@dataclass(frozen=True)
class _Reconciler:
    """The parts that differ between kinds."""

    kind: Kind
    model: type[Resource]
    status: type[StatusModel]
    condition: str
    """The condition to set to False if the spec is invalid or a child is rejected."""
    plan: Callable[[Context, Any, datetime], Awaitable[Plan]]


async def _plan_job(context: Context, job: TrainingJob, now: datetime) -> Plan:
    observed = await observe_job(context.writer.children, context.reports, job)
    return plan_training_job(job, observed, context.settings, now, secrets.token_hex(32))


async def _plan_deployment(context: Context, deployment: ModelDeployment, now: datetime) -> Plan:
    observed = await observe_deployment(context.writer.children, context.http, deployment)
    return plan_model_deployment(deployment, observed, context.settings, now)


RECONCILERS = {
    "TrainingJob": _Reconciler(TRAINING_JOB, TrainingJob, TrainingJobStatus, "Running", _plan_job),
    "ModelDeployment": _Reconciler(MODEL_DEPLOYMENT, ModelDeployment, ModelDeploymentStatus, "Ready", _plan_deployment),
}


async def reconcile(context: Context, key: Key) -> float | None:
    """Reconcile a resource; return the seconds until the next reconcile, or None."""
    stored = context.resources.get(key)
    if stored is None or stored.deleting:
        context.reports.drop(key)
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
        await _report(context, reconciler, stored, "InvalidSpec", message, now)
        return None  # only a change of the spec can fix it, and that triggers a reconcile
    stored.model = resource
    plan = await reconciler.plan(context, resource, now)
    try:
        writes = await context.writer.execute(stored, resource, reconciler.kind, plan)
        metrics.WRITES.labels(reconciler.kind.kind).inc(writes)
    except StatusConflict:
        return await _refresh(context, reconciler.kind, stored)
    except ApiError as error:
        if error.rejected:
            await _report(context, reconciler, stored, "Rejected", error.message, now)
        raise
    if plan.requeue_after is None:
        stored.model = None
    return plan.requeue_after


async def _refresh(context: Context, kind: Kind, stored: StoredResource) -> float:
    """Read a resource whose cached version is outdated, after a conflict."""
    obj = await context.writer.kube.find(kind, stored.name, stored.namespace)
    if obj is None or obj["metadata"]["uid"] != stored.uid:
        context.resources.forget(stored.uid, stored.version)
    if obj is not None:
        context.resources.put(kind, obj, own=True)
    return _CONFLICT_SECONDS


async def _report(
    context: Context, reconciler: _Reconciler, stored: StoredResource, reason: str, message: str, now: datetime
) -> None:
    """Report in a condition why the resource cannot be reconciled; the rest of its status is unchanged."""
    obj = stored.load()
    meta = ObjectMeta.model_validate(obj["metadata"])
    before: Any = reconciler.status.model_validate(obj.get("status") or {})
    desired = [DesiredCondition(reconciler.condition, False, reason, message)]
    conditions = merge_conditions(before.conditions, desired, meta.generation, now)
    status = before.model_copy(update={"conditions": conditions, "observed_generation": meta.generation})
    written = await context.writer.write_status(reconciler.kind, stored, before, status)
    metrics.WRITES.labels(reconciler.kind.kind).inc(written)
    _log.warning("%s %s/%s: %s: %s", reconciler.kind.kind, meta.namespace, meta.name, reason, message)
