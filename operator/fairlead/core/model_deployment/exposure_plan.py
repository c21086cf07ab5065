"""What routes from outside add to a deployment's plan: their writes and deletions, a condition, their hosts.

Nothing of it changes the other conditions, and all of it is done after the status was written: a route that cannot be
written takes nothing from what serves inside. A route that exists stays until the spec's are written, unless it is not
allowed any more.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from fairlead.api.base import Condition
from fairlead.api.exposure import Exposure, ExposureStatus
from fairlead.api.model_deployment import ModelDeployment, ModelDeploymentStatus
from fairlead.core.children import Object
from fairlead.core.conditions import DesiredCondition, update_conditions
from fairlead.core.model_deployment.exposure_build import build_routes
from fairlead.core.model_deployment.exposure_checks import (
    check_access,
    check_allowed,
    check_obstacles,
    list_kinds,
    may_stay,
)
from fairlead.core.model_deployment.exposure_status import EXPOSED, build_urls, explain_routes, fail, wait
from fairlead.core.model_deployment.observed import ObservedDeployment, ObservedRoutes
from fairlead.core.model_deployment.unused import is_applied
from fairlead.core.plan import Deletion, Event, Plan
from fairlead.core.settings import Settings
from fairlead.core.views import RouteView

REJECTED = "Rejected"
"""The reason of a child that the API server has rejected."""
_PENDING_SECONDS, _POLL_SECONDS, _LOOK_SECONDS = 0.2, 2.0, 5.0
"""How often to look while routes are being listed, while they are written, and while a kind is missing or a host is
another deployment's."""


@dataclass(frozen=True)
class _Step:
    """What is done about the routes now, and how that is reported."""

    condition: DesiredCondition | None
    """None if there are no routes and the spec asks for none."""
    apply: tuple[Object, ...] = ()
    delete: tuple[RouteView, ...] = ()
    claims: bool = False
    """Whether the deployment claims the hosts of its spec."""
    requeue_after: float | None = None


def with_exposure(
    plan: Plan, deployment: ModelDeployment, observed: ObservedDeployment, settings: Settings, now: datetime
) -> Plan:
    """Return the plan with the routes; without spec.expose and routes, nothing is said about them."""
    before, status = deployment.status, plan.status
    assert isinstance(status, ModelDeploymentStatus)
    others = tuple(each for each in status.conditions if each.type != EXPOSED)
    known = tuple(each for each in before.conditions if each.type == EXPOSED)
    if deployment.spec.expose is None and before.exposure is None:
        return _replace(plan, status, conditions=others)
    if observed.routes.pending:
        waiting = _replace(plan, status, conditions=(*others, *known))
        return replace(waiting, requeue_after=_sooner(plan.requeue_after, _PENDING_SECONDS))
    step = _plan_routes(deployment, observed, settings)
    conditions = others
    if step.apply and _is_retry(deployment, known):
        conditions = (*others, *known)
    elif step.condition:
        conditions = update_conditions((*others, *known), [step.condition], deployment.metadata.generation, now)
    exposure = _derive_exposure(deployment, observed.routes, step)
    return replace(
        _replace(plan, status, conditions=conditions, exposure=exposure),
        apply_last=(*plan.apply_last, *step.apply),
        delete_counted=(*plan.delete_counted, *(Deletion(view.kind, view.name, view.uid) for view in step.delete)),
        events=(*plan.events, *_build_events(known, step.condition)),
        requeue_after=_sooner(plan.requeue_after, step.requeue_after),
    )


def _plan_routes(deployment: ModelDeployment, observed: ObservedDeployment, settings: Settings) -> _Step:
    """Claim the hosts in the status, then write the routes, then delete those of an earlier spec."""
    expose, routes = deployment.spec.expose, observed.routes
    if expose is None:
        return _plan_removal(deployment, routes)
    denied = tuple(view for view in routes.views if not may_stay(deployment, view, routes, settings))
    if finding := check_allowed(deployment, expose, settings):
        return _Step(fail(finding), delete=denied)
    if finding := check_obstacles(deployment, expose, routes):
        return _Step(fail(finding), delete=denied, requeue_after=_LOOK_SECONDS)
    if not any(view.name == deployment.metadata.name for view in observed.services):
        # a Service of this name that is somebody else's gets no requests from us
        return _Step(wait("ServiceMissing", "The deployment's own Service does not exist yet."), delete=denied)
    applying, desired = wait("Applying", "The routes are being written."), build_routes(deployment)
    kept = {(route["kind"], route["metadata"]["name"]) for route in desired}
    # one that somebody else has changed to what is not allowed is repaired
    replaced = tuple(view for view in denied if (view.kind, view.name) not in kept)
    if not _is_claimed(deployment, expose):
        return _Step(applying, delete=replaced, claims=True, requeue_after=0.0)
    if changed := tuple(route for route in desired if not is_applied(route, observed)):
        if routes.rejection:
            return _Step(fail(routes.rejection), delete=denied, claims=True)
        return _Step(applying, changed, replaced, claims=True, requeue_after=_POLL_SECONDS)
    seen = tuple(view for view in routes.views if (view.kind, view.name) in kept)
    unused = tuple(view for view in routes.views if view not in seen)
    return _Step(explain_routes(deployment, expose, seen), delete=unused, claims=True)


def _plan_removal(deployment: ModelDeployment, routes: ObservedRoutes) -> _Step:
    """Delete all routes of a spec that asks for none any more."""
    unread = _list_unread(deployment, routes)
    if finding := check_access(routes, unread):
        return _Step(fail(finding), delete=routes.views, requeue_after=_LOOK_SECONDS)
    if routes.views:
        return _Step(wait("RouteRemoving", "The routes are being deleted."), delete=routes.views)
    return _Step(None)


def _list_unread(deployment: ModelDeployment, routes: ObservedRoutes) -> tuple[str, ...]:
    """Return the kinds of which there may be routes that cannot be seen; those of a kind that is gone are gone."""
    known = deployment.status.exposure.kinds if deployment.status.exposure else ()
    return tuple(kind for kind in known if routes.refusals.get(kind) in ("forbidden", "unreadable"))


def _is_claimed(deployment: ModelDeployment, expose: Exposure) -> bool:
    known = deployment.status.exposure or ExposureStatus()
    return {*list_kinds(expose)} <= {*known.kinds} and {*expose.hosts, *expose.grpc_hosts} <= {*known.hosts}


def _derive_exposure(deployment: ModelDeployment, routes: ObservedRoutes, step: _Step) -> ExposureStatus | None:
    """Return what the routes have that exist, also if they are deleted now, and what the spec's are about to have."""
    expose, known = deployment.spec.expose, deployment.status.exposure or ExposureStatus()
    unread = _list_unread(deployment, routes)
    kinds = [*(view.kind for view in routes.views), *unread]
    # a host that somebody else has given a route of ours is no claim
    had = (host for view in routes.views for host in view.hosts if host in known.hosts)
    hosts = [*had, *(known.hosts if unread else ())]
    if step.claims and expose:
        kinds, hosts = [*list_kinds(expose), *kinds], [*expose.hosts, *expose.grpc_hosts, *hosts]
    if not kinds:
        return None
    urls = build_urls(expose, step.condition) if expose and step.condition else ()
    return ExposureStatus(kinds=tuple(dict.fromkeys(kinds)), hosts=tuple(dict.fromkeys(hosts)), urls=urls)


def _is_retry(deployment: ModelDeployment, known: Collection[Condition]) -> bool:
    """Return whether the same routes were rejected before, which is said until they are accepted."""
    generation = deployment.metadata.generation
    return any(each.reason == REJECTED and each.observed_generation == generation for each in known)


def _build_events(known: Collection[Condition], condition: DesiredCondition | None) -> tuple[Event, ...]:
    """Return a warning for a fault that the condition does not report yet."""
    if condition is None or condition.status is not False:
        return ()
    if any(each.status == "False" and each.reason == condition.reason for each in known):
        return ()
    since = next((each.last_transition_time for each in known), "")
    return (Event("Warning", condition.reason, condition.message, "Expose", since),)


def _replace(plan: Plan, status: ModelDeploymentStatus, **changes: object) -> Plan:
    return replace(plan, status=status.model_copy(update=changes))


def _sooner(one: float | None, other: float | None) -> float | None:
    return min((each for each in (one, other) if each is not None), default=None)
