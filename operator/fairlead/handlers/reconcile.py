"""One reconcile: get, observe, plan, execute."""

import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import aiohttp
from pydantic import ValidationError

from fairlead.api.base import ObjectMeta, Resource, StatusModel
from fairlead.api.model_deployment import ModelDeployment, ModelDeploymentStatus
from fairlead.api.training_job import TrainingJob, TrainingJobStatus
from fairlead.core.conditions import Wanted, merge_conditions
from fairlead.core.model_deployment.plan import plan_model_deployment
from fairlead.core.plan import Plan
from fairlead.core.settings import Settings
from fairlead.core.training_job.plan import plan_training_job
from fairlead.handlers import metrics
from fairlead.kube.client import KubeClient
from fairlead.kube.errors import ApiError
from fairlead.kube.execute import execute, write_status
from fairlead.kube.kinds import MODEL_DEPLOYMENT, TRAINING_JOB, Kind
from fairlead.kube.observe import observe_deployment, observe_job

_log = logging.getLogger(__name__)


class Key(NamedTuple):
    """One resource."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Context:
    """What every reconcile works with."""

    kube: KubeClient
    http: aiohttp.ClientSession
    settings: Settings


@dataclass(frozen=True)
class _Reconciler:
    """What differs from kind to kind."""

    kind: Kind
    model: type[Resource]
    status: type[StatusModel]
    condition: str
    """Set to False when the spec is invalid or a child is refused."""
    plan: Callable[[Context, Any, datetime], Awaitable[Plan]]


async def _plan_job(context: Context, job: TrainingJob, now: datetime) -> Plan:
    observed = await observe_job(context.kube, context.http, job, context.settings, now)
    return plan_training_job(job, observed, context.settings, now, secrets.token_hex(32))


async def _plan_deployment(context: Context, deployment: ModelDeployment, now: datetime) -> Plan:
    observed = await observe_deployment(context.kube, context.http, deployment)
    return plan_model_deployment(deployment, observed, context.settings, now)


RECONCILERS = {
    "TrainingJob": _Reconciler(TRAINING_JOB, TrainingJob, TrainingJobStatus, "Running", _plan_job),
    "ModelDeployment": _Reconciler(MODEL_DEPLOYMENT, ModelDeployment, ModelDeploymentStatus, "Ready", _plan_deployment),
}


async def reconcile(context: Context, key: Key) -> float | None:
    """Bring one resource a step closer to its spec; return the seconds until it wants to be looked at again."""
    reconciler, kube = RECONCILERS[key.kind], context.kube
    obj = await kube.find(reconciler.kind, key.name, key.namespace)
    if obj is None or "deletionTimestamp" in obj["metadata"]:
        return None  # ownerReferences do the clean-up
    with metrics.SECONDS.labels(key.kind).time():
        again = await _reconcile(context, reconciler, obj)
    metrics.RECONCILES.labels(key.kind, "done").inc()
    return again


async def _reconcile(context: Context, reconciler: _Reconciler, obj: dict[str, Any]) -> float | None:
    now = datetime.now(UTC)
    try:
        resource = reconciler.model.model_validate(obj)
    except ValidationError as error:
        message = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        await _report(context, reconciler, obj, "InvalidSpec", message, now)
        return None  # only a change of the spec can mend it, and that is watched
    plan = await reconciler.plan(context, resource, now)
    try:
        writes = await execute(context.kube, resource, reconciler.kind, plan)
        metrics.WRITES.labels(reconciler.kind.kind).inc(writes)
    except ApiError as error:
        if error.refused:
            await _report(context, reconciler, obj, "Refused", error.message, now)
        raise
    return plan.requeue_after


async def _report(
    context: Context, reconciler: _Reconciler, obj: dict[str, Any], reason: str, message: str, now: datetime
) -> None:
    """Say in a condition why the resource cannot be worked on; the rest of its status stays as it was."""
    meta = ObjectMeta.model_validate(obj["metadata"])
    status: Any = reconciler.status.model_validate(obj.get("status") or {})
    wanted = [Wanted(reconciler.condition, False, reason, message)]
    conditions = merge_conditions(status.conditions, wanted, meta.generation, now)
    told = status.model_copy(update={"conditions": conditions, "observed_generation": meta.generation})
    written = await write_status(context.kube, reconciler.kind, meta, status, told)
    metrics.WRITES.labels(reconciler.kind.kind).inc(written)
    _log.warning("%s %s/%s: %s: %s", reconciler.kind.kind, meta.namespace, meta.name, reason, message)
