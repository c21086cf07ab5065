"""The phase and the status of a deployment with several predictors."""

import math
from datetime import datetime

from fairlead.api.model_deployment import ModelDeploymentStatus, Predictor, PredictorStatus
from fairlead.api.traffic import Measured, TrafficStatus
from fairlead.core import names
from fairlead.core.conditions import Finding
from fairlead.core.model_deployment import phases
from fairlead.core.model_deployment.checks import check_answer, check_pods
from fairlead.core.model_deployment.predictor_scene import PredictorScene
from fairlead.core.model_deployment.shares import is_complete, list_known
from fairlead.core.model_deployment.status import count_desired, derive
from fairlead.core.model_deployment.traffic import add_up
from fairlead.core.plan import Event

MAX_DIGITS = 4
"""Significant digits of measured numbers."""


def explain_predictors(scene: PredictorScene, state: TrafficStatus) -> tuple[phases.Phase, Finding]:
    """Return the phase of the deployment, and why it is in it."""
    deployment, observed = scene.deployment, scene.observed
    if scene.fault:
        return scene.fault.phase, scene.fault.finding
    if lacking := [each for each in deployment.spec.predictors if scene.lacks_pods(each)]:
        return _explain_pods(scene, lacking)
    if state.entry != scene.entry.name:
        waits = "" if count_desired(deployment, scene.entry) else ", which has 0 replicas,"
        message = f"Predictor {state.entry} gets the requests until {scene.entry.name}{waits} takes over."
        return phases.PROGRESSING, Finding("EntryMoving", message)
    if not is_complete(state, scene.desired, scene.empty):
        return phases.PROGRESSING, Finding("TrafficMoving", f"The traffic changes step by step. {describe(state)}.")
    if not count_desired(deployment, scene.entry):
        message = f"Predictor {state.entry}, which gets the requests, has 0 replicas: no pod answers requests."
        return phases.READY, Finding("ScaledToZero", message)
    if any(not _is_confirmed(each) for each in _derive_predictors(scene, state)):
        return phases.PROGRESSING, Finding("TrafficUnconfirmed", _count_servers(scene, state))
    if observed.answer and not observed.answer.pending and (finding := check_answer(observed.answer)):
        return phases.PROGRESSING, finding
    return phases.READY, Finding("Answering", f"The Service is ready. {describe(state)}.")


def derive_split(
    scene: PredictorScene, state: TrafficStatus, phase: phases.Phase, finding: Finding, now: datetime
) -> ModelDeploymentStatus:
    """Return the status with a state of the traffic; `finding` explains its phase."""
    deployment, observed = scene.deployment, scene.observed
    # until the models are read, nothing is known about the spec, and conditions stay those of the earlier one
    unread = observed.artifacts.pending and not scene.fault
    status = deployment.status if unread else derive(deployment, observed, phase, finding, now)
    view = scene.view(state.entry)
    return status.model_copy(
        update={
            "predictors": _derive_predictors(scene, state),
            # what autoscalers ask about is one predictor, because they expect as many pods as they have asked for
            "replicas": view.replicas if view else 0,
            "selector": names.selector(names.predictor_labels(deployment, state.entry)),
            "traffic": _with_servers(scene, state),
        }
    )


def _with_servers(scene: PredictorScene, state: TrafficStatus) -> TrafficStatus:
    """Return the state with what servers say is in force; those that were not asked yet still do what they said."""
    confirmed, servers = scene.count_servers(list_known(state))
    if servers and scene.observed.traffic.is_unasked:
        confirmed = min(state.confirmed, servers)
    return state.model_copy(update={"servers": servers, "confirmed": confirmed if state == scene.state else 0})


def tell_changes(before: TrafficStatus | None, after: TrafficStatus) -> tuple[Event, ...]:
    """Return the events of a transition."""
    if before and before.entry != after.entry:
        message = f"The Service selects the pods of predictor {after.entry}, no more those of {before.entry}."
        return (Event("Normal", "EntryMoved", message, "Traffic", f"{after.generation}/{after.entry}"),)
    if before is None or describe(before) == describe(after):
        return ()
    return (Event("Normal", "TrafficChanged", f"{describe(after)}.", "Traffic", str(after.generation)),)


def describe(state: TrafficStatus) -> str:
    """Return who answers how much, and who gets copies."""
    parts = [f"{state.entry} {_weight_of(state, state.entry)} %"]
    parts += [f"{share.name} {share.weight} %" for share in state.shares if share.weight and share.name != state.entry]
    parts += [f"copies of {share.mirror} % to {share.name}" for share in state.shares if share.mirror]
    return f"Requests: {', '.join(parts)}"


def _explain_pods(scene: PredictorScene, lacking: list[Predictor]) -> tuple[phases.Phase, Finding]:
    """Name the predictors whose pods are not ready, and why if they fail."""
    failing = [
        (f"Predictor {predictor.name}: {found.message}", found.reason)
        for predictor in lacking
        if (found := check_pods(scene.pods(predictor.name)))
    ]
    if failing:
        return phases.FAULTY, Finding(failing[0][1], " ".join(message for message, _ in failing))
    counts = (
        f"Predictor {each.name}: {view.ready if (view := scene.view(each.name)) else 0} of"
        f" {count_desired(scene.deployment, each)} pods are ready."
        for each in lacking
    )
    return phases.PROGRESSING, Finding("PodsNotReady", " ".join(counts))


def _count_servers(scene: PredictorScene, state: TrafficStatus) -> str:
    confirmed, servers = scene.count_servers(list_known(state))
    return f"{confirmed} of {servers} ready servers have confirmed the traffic. {describe(state)}."


def _is_confirmed(status: PredictorStatus) -> bool:
    return (status.traffic_confirmed, status.shadow_confirmed) == (status.traffic, status.shadow)


def _weight_of(state: TrafficStatus, name: str) -> int:
    """Return the percentage of requests that a predictor answers; the entry has what the others leave."""
    others = sum(share.weight for share in state.shares if share.name != state.entry)
    own = sum(share.weight for share in state.shares if share.name == name)
    return 100 - others if name == state.entry else own


def _derive_predictors(scene: PredictorScene, state: TrafficStatus) -> tuple[PredictorStatus, ...]:
    """Return the status of each predictor of the spec, and of those that were removed but still get requests."""
    before = {status.name: status for status in scene.deployment.status.predictors}
    counted = scene.state is not None and scene.state.window == state.window
    in_force = state == scene.state and scene.all_confirmed(state.entry)
    listed = dict.fromkeys((*(each.name for each in scene.deployment.spec.predictors), *list_known(state)))
    shadows = {share.name: share.mirror for share in state.shares}
    result = []
    for name in listed:
        view, known = scene.view(name), before.get(name, PredictorStatus(name=name))
        weight = _weight_of(state, name)
        shadow = shadows.get(name) or None
        measured = known.measured if counted else None
        result.append(
            PredictorStatus(
                name=name,
                replicas=view.replicas if view else 0,
                ready=view.ready if view else 0,
                traffic=weight,
                traffic_confirmed=weight if in_force else known.traffic_confirmed,
                shadow=shadow,
                shadow_confirmed=shadow if in_force else known.shadow_confirmed,
                measured=_measure(scene, state, name) if in_force else measured,
            )
        )
    return tuple(result)


def _measure(scene: PredictorScene, state: TrafficStatus, name: str) -> Measured:
    """Add up what the entry's servers have counted of a predictor."""
    pods = {pod.uid for pod in scene.servers(state.entry)}
    facts = [each.facts for each in scene.observed.traffic.servers if each.pod in pods and each.facts]
    routes = [route for each in facts for route in each.routes if route.name == name]
    counts = [count for route in routes for count in (route.counts, route.mirrored)]
    counts += [each.own for each in facts if name == state.entry]
    found = add_up(counts, [route.agreement for route in routes])
    p99 = found.p99_seconds
    return Measured(
        requests=found.requests,
        errors=found.errors,
        p99_seconds=None if p99 is None or math.isinf(p99) else _round(p99),
        compared=found.compared,
        agreed=found.agreed,
        dropped=found.dropped,
        max_distance=_round(found.max_distance),
    )


def _round(value: float) -> float:
    return float(f"{value:.{MAX_DIGITS}g}")
