"""The planner of ModelDeployments with revisions: spec.rollout is set, or was until now.

A reconcile either stores a transition of the rollout or acts on the one that is stored, never both. So children,
Service and the servers' documents follow from the stored status and the spec, wherever the operator was killed.
"""

from dataclasses import replace
from datetime import datetime

from fairlead.api.model_deployment import ModelDeployment
from fairlead.core import names
from fairlead.core.children import Object, with_hash
from fairlead.core.model_deployment import phases
from fairlead.core.model_deployment.build import build_children, build_deployment_service
from fairlead.core.model_deployment.checks import check_pods
from fairlead.core.model_deployment.measuring import seconds_to_check
from fairlead.core.model_deployment.observed import ObservedDeployment
from fairlead.core.model_deployment.predictor_children import build_predictor_children
from fairlead.core.model_deployment.revision_children import build_revision_children
from fairlead.core.model_deployment.revision_status import derive_revisions, explain
from fairlead.core.model_deployment.revisions import build_record, find_old
from fairlead.core.model_deployment.rollout import Facts, advance, candidate_replicas, leave
from fairlead.core.model_deployment.scaling import build_scaling
from fairlead.core.model_deployment.scene import Scene, count_confirmed, list_servers, set_scene
from fairlead.core.model_deployment.shares import find_entry
from fairlead.core.model_deployment.status import warn
from fairlead.core.model_deployment.traffic import (
    as_first,
    build_documents,
    is_drained,
    poll_seconds,
    read_command,
    read_evidence,
)
from fairlead.core.model_deployment.traffic_children import build_traffic_config, build_traffic_key
from fairlead.core.model_deployment.transitions import Transition
from fairlead.core.model_deployment.unused import find_unused, is_applied
from fairlead.core.plan import Deletion, Plan
from fairlead.core.settings import Settings

_POLL_SECONDS = 2.0
_LEAST_SECONDS = 0.1
_MAX_RESTARTS = 3
"""After so many restarts of a pod, a candidate counts as crashing."""


def plan_revisions(
    deployment: ModelDeployment, observed: ObservedDeployment, settings: Settings, now: datetime, key: str
) -> Plan:
    """Store the next state of the rollout or, if there is none, act on the current one."""
    scene = set_scene(deployment, observed, settings)
    transition = _advance(scene, now)
    if transition.after != scene.state:
        phase, finding = explain(scene, transition.after)
        status = derive_revisions(scene, transition.after, phase, finding, now)
        events = transition.events or warn(deployment, phase, finding)
        return Plan(status, events=events, requeue_after=0.0)
    return _act(scene, settings, now, key)


def _advance(scene: Scene, now: datetime) -> Transition:
    deployment, observed, state = scene.deployment, scene.observed, scene.state
    policy = deployment.spec.rollout
    if policy is None:
        return leave(state, _is_plain_ready(scene), now)
    limit = policy.analysis.max_p99_seconds
    crashing = tuple(pod for pod in scene.pods(state.candidate) if pod.restarts >= _MAX_RESTARTS)
    crashed = check_pods(crashing) if state.candidate else None
    awaited = scene.uncarded if state.candidate in (None, scene.desired) else None
    facts = Facts(
        desired=scene.desired,
        replicas=scene.replicas,
        ready=scene.ready(state.candidate or scene.desired),
        address=scene.address(state.candidate),
        crashed=crashed.message if crashed else "",
        awaited=awaited.message if awaited else "",
        evidence=replace(read_evidence(deployment.status, observed.traffic.servers, limit), answers=observed.answers),
        command=read_command(deployment),
    )
    return advance(policy, state, facts, now)


def _act(scene: Scene, settings: Settings, now: datetime, key: str) -> Plan:
    """Apply what the state asks for, delete what it needs no more, and report."""
    deployment, observed, state = scene.deployment, scene.observed, scene.state
    children = _build_children(scene, settings)
    changed = tuple(child for child in children if not is_applied(child, observed))
    apply = (*_build_records(scene), *changed)
    if observed.traffic.key_missing or any(_is_new_deployment(child, scene) for child in changed):
        apply = (build_traffic_key(deployment, key), *apply)
    phase, finding = explain(scene, state)
    if apply and observed.rejection:
        phase, finding = phases.FAULTY, observed.rejection
        events = warn(deployment, phase, finding)
        return Plan(derive_revisions(scene, state, phase, finding, now), events=events, requeue_after=_POLL_SECONDS)
    delete, draining = _find_unused(scene, children, now)
    status = derive_revisions(scene, state, phase, finding, now)
    if phase is phases.READY and observed.answer and observed.answer.pending:
        status = deployment.status  # nothing is said until the Service has been asked
    events = warn(deployment, phase, finding)
    settled = phase in (phases.READY, phases.ROLLED_BACK) and not changed and not draining
    return Plan(status, apply, delete, events=events, requeue_after=_seconds_to_next(scene, settled, now))


def _seconds_to_next(scene: Scene, settled: bool, now: datetime) -> float:
    policy, state = scene.deployment.spec.rollout, scene.state
    seconds = poll_seconds(scene.deployment)
    if policy and state.candidate:
        return min(seconds, max(_LEAST_SECONDS, seconds_to_check(policy, state.rollout, now)))
    if scene.fault and scene.fault.requeue_after:
        seconds = min(seconds, scene.fault.requeue_after)
    return seconds if settled else min(seconds, _POLL_SECONDS)


def _build_children(scene: Scene, settings: Settings) -> list[Object]:
    """Return the children of the stable revision, or of the first one, and of the candidate."""
    deployment, state = scene.deployment, scene.state
    policy = deployment.spec.rollout
    children: list[Object] = []
    if revision := scene.known.get(state.stable or scene.desired or ""):
        children += build_revision_children(deployment, revision, scene.replicas, settings)
    if policy and state.candidate and (revision := scene.known.get(state.candidate)):
        replicas = candidate_replicas(policy, state.rollout, scene.replicas)
        children += build_revision_children(deployment, revision, replicas, settings)
    for name, document in build_documents(deployment).items():
        child, labels = names.revision_name(deployment, name), names.revision_labels(deployment, name)
        children.append(build_traffic_config(deployment, child, labels, as_first(document)))
    if state.stable or children:
        # pods from before spec.rollout was set serve until the first revision does
        stable = state.stable
        selector = names.revision_labels(deployment, stable) if stable else names.deployment_labels(deployment)
        children.append(with_hash(build_deployment_service(deployment, selector)))
    if policy is None and scene.desired:
        children += _build_successors(scene, settings)
    return [*children, *build_scaling(deployment)]


def _build_successors(scene: Scene, settings: Settings) -> list[Object]:
    """Return the children that take over once spec.rollout is removed; other predictors follow when these serve."""
    deployment, entry = scene.deployment, find_entry(scene.deployment.spec.predictors)
    digests = scene.known[scene.desired or ""].digests
    if len(deployment.spec.predictors) > 1:
        return build_predictor_children(deployment, entry, digests, settings)
    *plain, _ = build_children(deployment, digests, settings)
    return plain


def _build_records(scene: Scene) -> tuple[Object, ...]:
    """Return the ControllerRevisions that do not exist yet."""
    state, views = scene.state, scene.observed.revisions
    existing = {view.name for view in views}
    used = {state.stable or scene.desired, state.candidate}
    return tuple(
        build_record(scene.deployment, revision, views)
        for name, revision in scene.known.items()
        if name in used and names.revision_name(scene.deployment, name) not in existing
    )


def _is_new_deployment(child: Object, scene: Scene) -> bool:
    existing, meta = {view.name for view in scene.observed.deployments}, child["metadata"]
    return child["kind"] == "Deployment" and names.REVISION in meta["labels"] and meta["name"] not in existing


def _find_unused(scene: Scene, children: list[Object], now: datetime) -> tuple[tuple[Deletion, ...], bool]:
    """Return what to delete now, and whether something is only not deleted yet."""
    deployment, state = scene.deployment, scene.state
    if state.stable is None:
        return (), False
    # one whose content is not known goes on as it is
    used = (state.stable, state.candidate)
    unknown = [names.revision_name(deployment, name) for name in used if name and name not in scene.known]
    unused = find_unused(children, scene.observed, unknown)
    old = find_old(deployment, scene.observed.revisions, (*used, scene.desired, state.rollout.failed_revision))
    confirmed = count_confirmed(scene) >= len(list_servers(scene))
    if not unused or is_drained(state.rollout.moved_at, confirmed, now):
        return (*unused, *old), False
    return old, True


def _is_plain_ready(scene: Scene) -> bool:
    """Return whether the pods without revisions could serve; they are created once spec.rollout is removed."""
    name = names.predictor_name(scene.deployment, find_entry(scene.deployment.spec.predictors).name)
    view = next((view for view in scene.observed.deployments if view.name == name), None)
    return view is not None and view.settled and view.ready >= scene.replicas and not scene.fault
