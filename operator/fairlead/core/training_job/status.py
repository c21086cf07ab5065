"""The status of a TrainingJob, derived from its observed state."""

from datetime import datetime
from typing import Any

from fairlead_contracts.termination import SuccessReport

from fairlead.api.base import ArtifactRef
from fairlead.api.training_job import Progress, TrainingJob, TrainingJobStatus, WorkerCounts
from fairlead.core import names
from fairlead.core.conditions import DesiredCondition, Finding, is_true, merge_conditions
from fairlead.core.plan import Event
from fairlead.core.settings import Settings
from fairlead.core.training_job.observed import ObservedJob


def derive_blocked(job: TrainingJob, finding: Finding, now: datetime) -> TrainingJobStatus:
    """Derive the status of a job that waits for its dataset or validation result."""
    conditions = [
        DesiredCondition("Blocked", True, finding.reason, finding.message),
        DesiredCondition("Running", False, "Blocked", "The job is blocked."),
    ]
    return _derive(job, "Blocked", conditions, now)


def derive_suspended(job: TrainingJob, observed: ObservedJob, now: datetime) -> TrainingJobStatus:
    """Derive the status of a suspended job."""
    conditions = [
        DesiredCondition("Suspended", True, "Suspended", "spec.runPolicy.suspend is true."),
        DesiredCondition("Running", False, "Suspended", "The job is suspended."),
    ]
    return _derive(job, "Suspended", conditions, now, start_time=None, workers=_count(job, observed))


def derive_created(job: TrainingJob, observed: ObservedJob, now: datetime) -> TrainingJobStatus:
    """Derive the status of a job whose pods were created and do not all run yet."""
    message = "Waiting for the launcher and worker pods to run."
    conditions = [*_starting(job), DesiredCondition("Running", False, "PodsPending", message)]
    workers = WorkerCounts(desired=job.spec.workers.replicas, restarts=job.status.workers.restarts)
    return _derive(job, "Pending", conditions, now, workers=workers, **_started(job, observed, now))


def derive_pending(job: TrainingJob, observed: ObservedJob, finding: Finding, now: datetime) -> TrainingJobStatus:
    """Derive the status of a job with a pod that cannot start."""
    conditions = [*_starting(job), DesiredCondition("Running", False, finding.reason, finding.message)]
    return _derive(job, "Pending", conditions, now, workers=_count(job, observed), **_started(job, observed, now))


def derive_running(job: TrainingJob, observed: ObservedJob, settings: Settings, now: datetime) -> TrainingJobStatus:
    """Derive the status of a running job; its progress is updated at a bounded rate."""
    desired, restarts = job.spec.workers.replicas, job.status.workers.restarts
    conditions = [
        *_starting(job),
        DesiredCondition("Running", True, "WorkersRunning", f"{desired} workers are running."),
    ]
    if restarts:
        conditions.append(DesiredCondition("Restarting", False, "WorkersRunning", "All pods are running."))
    before, fresh = job.status.progress, observed.progress
    recent = before and before.updated_at and (now - before.updated_at).total_seconds() < settings.progress_seconds
    if fresh is None or recent or _same_progress(before, fresh):
        progress = before
    else:
        progress = fresh.model_copy(update={"updated_at": _seconds(now)})
    # a worker that has finished still counts: the number decreases only on a failure
    workers = WorkerCounts(ready=desired, desired=desired, restarts=restarts)
    return _derive(job, "Running", conditions, now, workers=workers, progress=progress, **_started(job, observed, now))


def derive_restarting(job: TrainingJob, finding: Finding, now: datetime) -> TrainingJobStatus:
    """Derive the status of a job that restarts after a failure; its pods are replaced next."""
    restarts = job.status.workers.restarts + 1
    limit = job.spec.run_policy.backoff_limit
    message = f"Restart {restarts} of at most {limit}: {finding.message}"
    conditions = [
        DesiredCondition("Restarting", True, finding.reason, message),
        DesiredCondition("Running", False, "Restarting", "All pods are being recreated."),
    ]
    workers = WorkerCounts(ready=0, desired=job.spec.workers.replicas, restarts=restarts)
    return _derive(job, "Restarting", conditions, now, workers=workers)


def derive_failed(job: TrainingJob, observed: ObservedJob, finding: Finding, now: datetime) -> TrainingJobStatus:
    """Derive the status of a failed job."""
    conditions = [
        DesiredCondition("Failed", True, finding.reason, finding.message),
        DesiredCondition("Running", False, "Failed", "The job has failed."),
    ]
    started = _started(job, observed, now) if observed.pods else {}
    return _derive(
        job, "Failed", conditions, now, completion_time=_seconds(now), workers=_count(job, observed), **started
    )


def derive_succeeded(
    job: TrainingJob, observed: ObservedJob, report: SuccessReport | Finding, now: datetime
) -> TrainingJobStatus:
    """Derive the status of a succeeded job; the launcher's report has the model and the final progress.

    For a malformed report `report` is a finding; its message is added to the condition.
    """
    changes = _started(job, observed, now) | {
        "completion_time": _seconds(now),
        "workers": WorkerCounts(ready=0, desired=job.spec.workers.replicas, restarts=job.status.workers.restarts),
    }
    message = f"{job.spec.workers.replicas} workers finished."
    if isinstance(report, Finding):
        message += f" {report.message}"
        report = SuccessReport()
    if model := report.model:
        reference = ArtifactRef(name="model", uri=model.uri, digest=model.digest)
        read = changes.get("provenance", job.status.provenance)
        kept = tuple(artifact for artifact in read if artifact.name != "model")
        changes |= {"model_version": model.version, "provenance": (*kept, reference)}
    if report.progress:
        changes["progress"] = Progress.model_validate(report.progress.to_json()).model_copy(
            update={"updated_at": _seconds(now), "eta_seconds": 0}
        )
    conditions = [
        *_starting(job),
        DesiredCondition("Succeeded", True, "TrainingFinished", message),
        DesiredCondition("Running", False, "TrainingFinished", "The job has finished."),
    ]
    return _derive(job, "Succeeded", conditions, now, **changes)


def warning(job: TrainingJob, type_: str, finding: Finding) -> tuple[Event, ...]:
    """Return a warning event, unless the condition `type_` already reports the finding."""
    for condition in job.status.conditions:
        if condition.type == type_ and condition.status == "True" and condition.reason == finding.reason:
            return ()
    return (Event("Warning", finding.reason, finding.message, type_),)


def _starting(job: TrainingJob) -> list[DesiredCondition]:
    """Return the conditions of every job that has started."""
    conditions = [DesiredCondition("Created", True, "ChildrenCreated", "The job's pods were created.")]
    for type_ in ("Blocked", "Suspended"):
        if is_true(job.status.conditions, type_):
            conditions.append(DesiredCondition(type_, False, "Started", "The job has started."))
    return conditions


def _started(job: TrainingJob, observed: ObservedJob, now: datetime) -> dict[str, Any]:
    """Return the fields that are set when a job starts."""
    first = min((pod.created for pod in observed.pods if pod.created), default=now)
    changes: dict[str, Any] = {"start_time": job.status.start_time or _seconds(first)}
    if observed.gate and observed.gate.artifacts:
        changes["provenance"] = observed.gate.artifacts
    return changes


def _derive(
    job: TrainingJob, phase: str, desired: list[DesiredCondition], now: datetime, **changes: Any
) -> TrainingJobStatus:
    generation = job.metadata.generation
    conditions = merge_conditions(job.status.conditions, desired, generation, now)
    return job.status.model_copy(
        update={"observed_generation": generation, "conditions": conditions, "phase": phase, **changes}
    )


def _count(job: TrainingJob, observed: ObservedJob) -> WorkerCounts:
    restarts = job.status.workers.restarts
    ready = sum(
        pod.role == names.WORKER and pod.phase == "Running" and pod.attempt == restarts for pod in observed.pods
    )
    return WorkerCounts(ready=ready, desired=job.spec.workers.replicas, restarts=restarts)


def _same_progress(before: Progress | None, after: Progress) -> bool:
    return before is not None and before.model_copy(update={"updated_at": None}) == after


def _seconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
