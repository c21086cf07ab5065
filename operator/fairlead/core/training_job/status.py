"""The status of a TrainingJob, derived from what was observed."""

from datetime import datetime
from typing import Any

from fairlead_contracts.termination import SuccessReport

from fairlead.api.base import ArtifactRef
from fairlead.api.training_job import Progress, TrainingJob, TrainingJobStatus, WorkerCounts
from fairlead.core import names
from fairlead.core.conditions import Finding, Wanted, is_true, merge_conditions
from fairlead.core.plan import Event
from fairlead.core.settings import Settings
from fairlead.core.training_job.observed import ObservedJob


def derive_blocked(job: TrainingJob, finding: Finding, now: datetime) -> TrainingJobStatus:
    """Say that the job waits for its dataset or its validation, and why."""
    wanted = [
        Wanted("Blocked", True, finding.reason, finding.message),
        Wanted("Running", False, "Blocked", "The job waits at its gate."),
    ]
    return _derive(job, "Blocked", wanted, now)


def derive_suspended(job: TrainingJob, observed: ObservedJob, now: datetime) -> TrainingJobStatus:
    """Say that the job is held."""
    wanted = [
        Wanted("Suspended", True, "Suspended", "spec.runPolicy.suspend is true."),
        Wanted("Running", False, "Suspended", "The job is held."),
    ]
    return _derive(job, "Suspended", wanted, now, start_time=None, workers=_count(job, observed))


def derive_created(job: TrainingJob, observed: ObservedJob, now: datetime) -> TrainingJobStatus:
    """Say that pods are being made; it stays the same until they all run, or one of them does not start."""
    message = "Waiting for the launcher and the workers to run."
    wanted = [*_starting(job), Wanted("Running", False, "PodsPending", message)]
    workers = WorkerCounts(desired=job.spec.workers.replicas, restarts=job.status.workers.restarts)
    return _derive(job, "Pending", wanted, now, workers=workers, **_started(job, observed, now))


def derive_pending(job: TrainingJob, observed: ObservedJob, finding: Finding, now: datetime) -> TrainingJobStatus:
    """Say which pod does not start, and why; pods that merely take their time are not worth a write for each."""
    wanted = [*_starting(job), Wanted("Running", False, finding.reason, finding.message)]
    return _derive(job, "Pending", wanted, now, workers=_count(job, observed), **_started(job, observed, now))


def derive_running(job: TrainingJob, observed: ObservedJob, settings: Settings, now: datetime) -> TrainingJobStatus:
    """Say that all pods run, and how far the training is, at a bounded rate."""
    desired, restarts = job.spec.workers.replicas, job.status.workers.restarts
    wanted = [
        *_starting(job),
        Wanted("Running", True, "WorkersRunning", f"{desired} workers run."),
    ]
    if restarts:
        wanted.append(Wanted("Restarting", False, "WorkersRunning", "All pods run."))
    before, fresh = job.status.progress, observed.progress
    recent = before and before.updated_at and (now - before.updated_at).total_seconds() < settings.progress_seconds
    if fresh is None or recent or _same_progress(before, fresh):
        progress = before
    else:
        progress = fresh.model_copy(update={"updated_at": _seconds(now)})
    # a worker that has finished its part still counts: the number falls only when something is wrong
    workers = WorkerCounts(ready=desired, desired=desired, restarts=restarts)
    return _derive(job, "Running", wanted, now, workers=workers, progress=progress, **_started(job, observed, now))


def derive_restarting(job: TrainingJob, finding: Finding, now: datetime) -> TrainingJobStatus:
    """Count the failure; the pods of the attempt are replaced next."""
    restarts = job.status.workers.restarts + 1
    limit = job.spec.run_policy.backoff_limit
    message = f"Restart {restarts} of at most {limit}: {finding.message}"
    wanted = [
        Wanted("Restarting", True, finding.reason, message),
        Wanted("Running", False, "Restarting", "All pods are made anew."),
    ]
    workers = WorkerCounts(ready=0, desired=job.spec.workers.replicas, restarts=restarts)
    return _derive(job, "Restarting", wanted, now, workers=workers)


def derive_failed(job: TrainingJob, observed: ObservedJob, finding: Finding, now: datetime) -> TrainingJobStatus:
    """Say why the job failed, for good."""
    wanted = [
        Wanted("Failed", True, finding.reason, finding.message),
        Wanted("Running", False, "Failed", "The job has failed."),
    ]
    started = _started(job, observed, now) if observed.pods else {}
    return _derive(job, "Failed", wanted, now, completion_time=_seconds(now), workers=_count(job, observed), **started)


def derive_succeeded(
    job: TrainingJob, observed: ObservedJob, report: SuccessReport | Finding, now: datetime
) -> TrainingJobStatus:
    """Record what the job made: the launcher's report names the model and the final progress.

    A finding stands for a report that is malformed: the job succeeded, and its message says what is not on record.
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
    wanted = [
        *_starting(job),
        Wanted("Succeeded", True, "TrainingFinished", message),
        Wanted("Running", False, "TrainingFinished", "The training has finished."),
    ]
    return _derive(job, "Succeeded", wanted, now, **changes)


def warning(job: TrainingJob, type_: str, finding: Finding) -> tuple[Event, ...]:
    """Return the event for a finding that the condition `type_` does not say yet."""
    for condition in job.status.conditions:
        if condition.type == type_ and condition.status == "True" and condition.reason == finding.reason:
            return ()
    return (Event("Warning", finding.reason, finding.message, type_),)


def _starting(job: TrainingJob) -> list[Wanted]:
    """Return what holds of every job that has started."""
    wanted = [Wanted("Created", True, "ChildrenCreated", "The job's pods are made.")]
    for type_ in ("Blocked", "Suspended"):
        if is_true(job.status.conditions, type_):
            wanted.append(Wanted(type_, False, "Started", "The job has started."))
    return wanted


def _started(job: TrainingJob, observed: ObservedJob, now: datetime) -> dict[str, Any]:
    """Return the fields that are set when a job starts, and kept from then on."""
    first = min((pod.created for pod in observed.pods if pod.created), default=now)
    changes: dict[str, Any] = {"start_time": job.status.start_time or _seconds(first)}
    if observed.gate and observed.gate.artifacts:
        changes["provenance"] = observed.gate.artifacts
    return changes


def _derive(job: TrainingJob, phase: str, wanted: list[Wanted], now: datetime, **changes: Any) -> TrainingJobStatus:
    generation = job.metadata.generation
    conditions = merge_conditions(job.status.conditions, wanted, generation, now)
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
