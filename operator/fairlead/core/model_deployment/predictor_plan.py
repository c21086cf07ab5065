"""The planner of ModelDeployments with several predictors: there are some in the spec, or were until now.

As with rollouts, a reconcile either stores the next state of the traffic or acts on the one that is stored, never both.
So the Service and the servers' documents follow from the stored status, wherever the operator was killed.
"""

from collections.abc import Collection
from datetime import datetime

from fairlead.api.model_deployment import ModelDeployment
from fairlead.api.traffic import TrafficStatus
from fairlead.core import names
from fairlead.core.children import Object
from fairlead.core.model_deployment import phases
from fairlead.core.model_deployment.observed import ObservedDeployment
from fairlead.core.model_deployment.predictor_children import build_entry_service, build_first_documents
from fairlead.core.model_deployment.predictor_scene import PredictorScene, set_predictor_scene
from fairlead.core.model_deployment.predictor_status import derive_split, explain_predictors, tell_changes
from fairlead.core.model_deployment.scaling import build_scaling
from fairlead.core.model_deployment.shares import advance, is_complete, list_known
from fairlead.core.model_deployment.status import count_desired, warn
from fairlead.core.model_deployment.traffic import is_drained, poll_seconds
from fairlead.core.model_deployment.traffic_children import build_traffic_key
from fairlead.core.model_deployment.unused import find_unused, is_applied
from fairlead.core.plan import Deletion, Plan
from fairlead.core.settings import Settings

_POLL_SECONDS = 2.0


def plan_predictors(
    deployment: ModelDeployment, observed: ObservedDeployment, settings: Settings, now: datetime, key: str
) -> Plan:
    """Store the next state of the traffic or, if there is none, act on the current one."""
    scene = set_predictor_scene(deployment, observed, settings)
    before = scene.state
    after = advance(before, scene.desired, scene.entry.name, deployment.spec.stickiness, scene.gather(), now)
    if after != before or before is None:
        phase, finding = explain_predictors(scene, after)
        status = derive_split(scene, after, phase, finding, now)
        events = tell_changes(before, after) or warn(deployment, phase, finding)
        return Plan(status, events=events, requeue_after=0.0)
    return _act(scene, before, now, key)


def _act(scene: PredictorScene, state: TrafficStatus, now: datetime, key: str) -> Plan:
    """Apply what the state asks for, delete what it needs no more, and report."""
    deployment, observed = scene.deployment, scene.observed
    children = _build_children(scene, state)
    drained = _is_drained(scene, state, now)
    held = _list_held(scene, state, drained)
    changed = _find_changed(children, observed, held)
    apply: tuple[Object, ...] = changed
    if observed.traffic.key_missing or any(child["kind"] == "Deployment" for child in changed):
        apply = (build_traffic_key(deployment, key), *changed)
    phase, finding = explain_predictors(scene, state)
    events = warn(deployment, phase, finding)
    if apply and observed.rejection:
        phase, finding = phases.FAULTY, observed.rejection
        status = derive_split(scene, state, phase, finding, now)
        return Plan(status, events=warn(deployment, phase, finding), requeue_after=_POLL_SECONDS)
    delete, draining = _find_unused(scene, state, children, drained, held)
    if _has_left(scene, state) and not (changed or delete or draining):
        return Plan(deployment.status.model_copy(update={"traffic": None}), requeue_after=0.0)
    status = derive_split(scene, state, phase, finding, now)
    if phase is phases.READY and observed.answer and observed.answer.pending:
        status = deployment.status  # nothing is said until the Service has been asked
    if children[0] in changed and status.traffic:
        # Services change their routes from now on, however long ago the state was stored
        status = status.model_copy(update={"traffic": status.traffic.model_copy(update={"moved_at": now})})
    settled = phase is phases.READY and not (changed or draining or held)
    return Plan(status, apply, delete, events=events, requeue_after=_seconds_to_next(scene, settled))


def _seconds_to_next(scene: PredictorScene, settled: bool) -> float:
    seconds = poll_seconds(scene.deployment)
    if scene.fault and scene.fault.requeue_after:
        seconds = min(seconds, scene.fault.requeue_after)
    return seconds if settled else min(seconds, _POLL_SECONDS)


def _build_children(scene: PredictorScene, state: TrafficStatus) -> list[Object]:
    """Return the Service and what servers start with, and the predictors' children as far as they are known."""
    children = [build_entry_service(scene.deployment, state.entry), *build_first_documents(scene.deployment)]
    if scene.children:
        children += [child for built in scene.children.values() for child in built]
        children += build_scaling(scene.deployment)
    return children


def _is_drained(scene: PredictorScene, state: TrafficStatus, now: datetime) -> bool:
    """Return whether no server sends anything any more to predictors that have lost it."""
    confirmed, servers = scene.count_servers(state.splitting)
    return is_drained(state.moved_at, confirmed >= servers, now)


def _list_held(scene: PredictorScene, state: TrafficStatus, drained: bool) -> frozenset[str]:
    """Return the Deployments that get fewer pods only later, because these may still get requests."""
    entry = scene.entry.name
    # an entry that stays one gets what the spec says at once, and all others once they are sent no more than that
    using = set() if drained else scene.children.keys() - ({entry} & {state.entry})
    using |= set(state.splitting) - {entry}
    return frozenset(
        view.name
        for each in scene.deployment.spec.predictors
        if each.name in using
        if (view := scene.view(each.name)) and count_desired(scene.deployment, each) < view.desired
    )


def _find_changed(children: list[Object], observed: ObservedDeployment, held: Collection[str]) -> tuple[Object, ...]:
    """Return what is not applied yet. The Service is first, and alone: it must not select pods of other predictors."""
    service, *others = children
    if not is_applied(service, observed):
        return (service,)
    return tuple(
        child
        for child in others
        if not is_applied(child, observed) and not (child["kind"] == "Deployment" and child["metadata"]["name"] in held)
    )


def _find_unused(
    scene: PredictorScene, state: TrafficStatus, children: list[Object], drained: bool, held: Collection[str]
) -> tuple[tuple[Deletion, ...], bool]:
    """Return what to delete now, and whether something is only not deleted yet."""
    deployment, observed = scene.deployment, scene.observed
    entry = scene.view(state.entry)
    if not scene.children or entry is None or not (entry.ready or state.entry in scene.empty):
        return (), False
    # removed predictors that still get requests go on as they are, and so do the graphs of pods that are replaced
    removed = set(list_known(state)) - scene.children.keys()
    replaced = {each.name for each in deployment.spec.predictors if scene.lacks_pods(each)}
    keep = [names.predictor_name(deployment, name) for name in (*removed, *replaced)]
    unused = find_unused(children, observed, [*keep, *held])
    if not unused or drained:
        records = tuple(Deletion("ControllerRevision", view.name, view.uid) for view in observed.revisions)
        return (*unused, *records), False
    return (), True


def _has_left(scene: PredictorScene, state: TrafficStatus) -> bool:
    """Return whether the only predictor of the spec gets everything, so that nothing is split any more."""
    if len(scene.deployment.spec.predictors) > 1 or not scene.children or scene.lacks_pods(scene.entry):
        return False
    alone = state.splitting == (scene.entry.name,) == (state.entry,)
    return alone and is_complete(state, scene.desired, scene.empty)
