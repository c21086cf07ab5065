"""What is said about retraining: the condition, and the events of transitions."""

from fairlead.api.model_deployment import ModelDeployment
from fairlead.api.retrain import Retrain, RetrainRun, RetrainStatus
from fairlead.core import names
from fairlead.core.conditions import DesiredCondition, Finding, format_time
from fairlead.core.model_deployment.observed import ObservedRetraining
from fairlead.core.model_deployment.retrain import next_start
from fairlead.core.model_deployment.retrained import find_target
from fairlead.core.plan import Event

RETRAINING = "Retraining"
REJECTED = "Rejected"


def explain_retraining(
    deployment: ModelDeployment,
    policy: Retrain,
    state: RetrainStatus,
    seen: ObservedRetraining,
    held: Finding | None = None,
) -> DesiredCondition:
    """Return the condition: True while a run is in progress, else why none is, which may be how the last one ended.

    `held` is the gate that the model of the last run has not passed yet.
    """
    run = state.run
    if run and run.ended_at is None:
        if seen.rejection:
            return DesiredCondition(RETRAINING, True, REJECTED, seen.rejection.message)
        known = next((each for each in deployment.status.conditions if each.type == RETRAINING), None)
        if known and known.reason == REJECTED and not _exists(run, seen):
            # it is tried again with this plan
            return DesiredCondition(RETRAINING, True, known.reason, known.message)
        return DesiredCondition(RETRAINING, True, run.phase, _describe(run, seen))
    if policy.suspend:
        return DesiredCondition(RETRAINING, False, "RetrainingSuspended", "spec.monitor.retrain.suspend is true.")
    target = find_target(deployment, policy.node)
    if isinstance(target, Finding):
        return DesiredCondition(RETRAINING, False, target.reason, target.message)
    if run is None or run.reason is None:
        return DesiredCondition(RETRAINING, False, "NotDrifted", "A run begins when the requests have drifted.")
    start = next_start(policy, run)
    later = f" No other run begins before {format_time(start)}." if start else ""
    words = (run.message or "").rstrip(".")
    return DesiredCondition(RETRAINING, False, run.reason, f"{words}.{_describe_model(state, held)}{later}")


def build_events(before: RetrainStatus, after: RetrainStatus) -> tuple[Event, ...]:
    """Return the event of a transition, if it is the beginning or the end of a run, or what a rollout made of it."""
    earlier, run = before.run, after.run
    if run is None:
        return ()
    if earlier is None or earlier.job != run.job:
        start = f", with the checkpoints at {run.restore_from}" if run.restore_from else ""
        text = f"TrainingJob {run.job} is to train the model of node {run.target.node}{start}."
        return (Event("Normal", "RetrainingStarted", text, "Retrain", run.job),)
    if run.reason and run.reason != earlier.reason:
        type_ = "Normal" if run.phase == "Succeeded" else "Warning"
        return (Event(type_, run.reason, run.message or "", "Retrain", f"{run.job}/{run.reason}"),)
    return ()


def _exists(run: RetrainRun, seen: ObservedRetraining) -> bool:
    """Return whether what the phase of a run needs was created."""
    return bool(seen.find_job(run.job) if run.phase == "Training" else seen.find_converter(run.job))


def _describe(run: RetrainRun, seen: ObservedRetraining) -> str:
    if run.phase == "Training":
        job = seen.find_job(run.job)
        said = f"{job.phase or 'Pending'}. {job.message}" if job else "to be created."
        return f"TrainingJob {run.job}: {said}".strip()
    pod = seen.find_converter(run.job)
    waits = f" {pod.waiting}" if pod and pod.waiting else ""
    return f"Pod {names.converter_name(run.job)} converts the model of TrainingJob {run.job}.{waits}"


def _describe_model(state: RetrainStatus, held: Finding | None) -> str:
    run, model = state.run, state.model
    if run is None or model is None or model.job != run.job:
        return ""
    if model.stable:
        return " It serves."
    return f" It is not admitted yet: {held.message.rstrip('.')}." if held else " A rollout measures it."
