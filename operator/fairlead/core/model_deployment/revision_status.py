"""The phase and the status of a deployment with revisions."""

from datetime import datetime

from fairlead.api.model_deployment import ModelDeploymentStatus
from fairlead.api.rollout import RolloutStatus
from fairlead.core.conditions import Finding
from fairlead.core.model_deployment import phases
from fairlead.core.model_deployment.checks import check_answer, check_pods
from fairlead.core.model_deployment.scene import Scene, count_confirmed, list_servers
from fairlead.core.model_deployment.status import derive
from fairlead.core.model_deployment.transitions import Revisions, describe, is_last_gate, is_paused

_CONFIRM_SECONDS = 5.0
"""How long servers may take to do what the status says, before it says that they do not."""


def explain(scene: Scene, state: Revisions) -> tuple[phases.Phase, Finding]:
    """Return the phase of the deployment, and why it is in it."""
    observed, policy = scene.observed, scene.deployment.spec.rollout
    if scene.fault:
        return scene.fault.phase, scene.fault.finding
    serving = state.stable or scene.desired
    ready = scene.ready(serving)
    if state.stable is None or ready < scene.replicas:
        if failing := check_pods(scene.pods(serving)):
            return phases.FAULTY, failing
        return phases.PROGRESSING, Finding(
            "PodsNotReady", f"Revision {serving}: {ready} of {scene.replicas} pods are ready."
        )
    if policy is None:
        return phases.PROGRESSING, Finding("RolloutRemoved", "Pods without revisions take over.")
    if state.candidate:
        reason = "RolloutPaused" if is_paused(policy, state.rollout) else "RolloutProgressing"
        if scene.uncarded and is_last_gate(policy, state.rollout) and state.candidate == scene.desired:
            message = f"{describe(policy, state)} It waits to be promoted. {scene.uncarded.message}"
            return phases.PROGRESSING, Finding(scene.uncarded.reason, message)
        return phases.PROGRESSING, Finding(reason, describe(policy, state))
    if state.rollout.failed_revision and state.rollout.failed_revision == scene.desired:
        message = f"{state.rollout.message} Revision {state.stable} serves."
        return phases.ROLLED_BACK, Finding("RolledBack", message)
    if not scene.replicas:
        return phases.READY, Finding("ScaledToZero", "spec.replicas is 0: no pod answers requests.")
    if observed.answer and not observed.answer.pending and (finding := check_answer(observed.answer)):
        return phases.PROGRESSING, finding
    return phases.READY, Finding("Answering", f"The Service is ready. Revision {state.stable} serves.")


def derive_revisions(
    scene: Scene, state: Revisions, phase: phases.Phase, finding: Finding, now: datetime
) -> ModelDeploymentStatus:
    """Return the status with a state of the rollout; `finding` explains its phase."""
    deployment, observed = scene.deployment, scene.observed
    known = state.stable or scene.desired
    # until the models are read, nothing is known about the spec, and conditions stay those of the earlier one
    unread = observed.artifacts.pending and not scene.fault
    status = deployment.status if unread else derive(deployment, observed, phase, finding, now, known)
    rollout = _with_servers(scene, state.rollout, now) if state.stable else None
    return status.model_copy(
        update={"stable_revision": state.stable, "candidate_revision": state.candidate, "rollout": rollout}
    )


def _with_servers(scene: Scene, rollout: RolloutStatus, now: datetime) -> RolloutStatus:
    """Return the rollout with what servers say is in force. What was just changed may take them some seconds."""
    servers, confirmed = len(list_servers(scene)), count_confirmed(scene)
    if servers and scene.observed.traffic.is_unasked:
        # what they said before holds
        return rollout.model_copy(update={"servers": servers, "confirmed": min(rollout.confirmed, servers)})
    changed = max((moment for moment in (rollout.checked_at, rollout.moved_at) if moment), default=now)
    if confirmed < servers == rollout.servers and 0 <= (now - changed).total_seconds() < _CONFIRM_SECONDS:
        return rollout
    return rollout.model_copy(update={"servers": servers, "confirmed": confirmed})
