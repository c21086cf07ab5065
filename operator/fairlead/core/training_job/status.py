"""The status of a TrainingJob, derived from its observed state."""

from datetime import datetime, timedelta
from typing import Any

from fairlead_contracts.termination import SuccessReport

from fairlead.api.base import ArtifactRef
from fairlead.api.tracking import MlflowRun
from fairlead.api.training_job import TrainingJob
from fairlead.api.training_job_status import Progress, TrainingJobStatus, WorkerCounts
from fairlead.core import names
from fairlead.core.conditions import Finding, format_time, is_true, merge_conditions, observe_generation
from fairlead.core.settings import Settings
from fairlead.core.training_job import phases
from fairlead.core.training_job.failures import Disruption
from fairlead.core.training_job.lacking import with_lacking
from fairlead.core.training_job.observed import ObservedJob
from fairlead.core.training_job.progress import derive_progress, stamp_progress
from fairlead.core.training_job.registration import explain_running
from fairlead.core.training_job.restarts import backoff_seconds
from fairlead.core.training_job.tracking import derive_tracking

_BEFORE_RUNNING = (phases.RESTARTING, phases.PENDING, phases.WAITING)
"""The phases between a failure and the end of the start after it."""


def derive_blocked(job: TrainingJob, finding: Finding, now: datetime) -> TrainingJobStatus:
    """Derive the status of a job that waits for its dataset or validation result."""
    return _derive(job, phases.BLOCKED, finding, now, workers=_count(job, ready=0))


def derive_suspended(job: TrainingJob, observed: ObservedJob, now: datetime) -> TrainingJobStatus:
    """Derive the status of a suspended job."""
    finding = Finding("Suspended", "spec.runPolicy.suspend is true.")
    workers = _count(job, _ready(job, observed))
    return _derive(job, phases.SUSPENDED, finding, now, start_time=None, workers=workers, elastic=None)


def derive_created(job: TrainingJob, observed: ObservedJob, now: datetime) -> TrainingJobStatus:
    """Derive the status of a job whose pods were created and do not all run yet."""
    finding = Finding("PodsPending", "Waiting for the launcher and worker pods to run.")
    return derive_pending(job, observed, finding, now, ready=0)


def derive_pending(
    job: TrainingJob, observed: ObservedJob, finding: Finding, now: datetime, ready: int | None = None
) -> TrainingJobStatus:
    """Derive the status of a job that waits: for pods to start, for workers to register, or for a rejected pod."""
    phase = phases.PENDING if observed.pods or finding.reason == "PodsPending" else phases.WAITING
    workers = _count(job, _ready(job, observed) if ready is None else ready)
    restarting = _restart_in_progress(job)
    return _derive(job, phase, finding, now, restarting, workers=workers, **_started(job, observed, now))


def derive_released(job: TrainingJob, finding: Finding, now: datetime) -> TrainingJobStatus:
    """Derive the status of a job whose pods are deleted because the others could not be created."""
    return _derive(job, phases.WAITING, finding, now, _restart_in_progress(job), workers=_count(job, ready=0))


def derive_running(job: TrainingJob, observed: ObservedJob, settings: Settings, now: datetime) -> TrainingJobStatus:
    """Derive the status of a running job; its progress is updated at a bounded rate."""
    # a worker that has finished still counts: the number decreases only on a failure
    ready = _ready(job, observed, finished=True) if job.spec.elastic else job.spec.workers.replicas
    progress, report = derive_progress(job, observed, settings, now), observed.launcher.report
    changes = _started(job, observed, now) | {"workers": _count(job, ready), "progress": progress}
    changes |= derive_tracking(job, report.tracking if report else None)
    if job.spec.elastic and report and report.elastic:
        replaced = job.status.elastic.replaced if job.status.elastic else ()
        changes["elastic"] = report.elastic.model_copy(update={"replaced": replaced})
    explained = with_lacking(explain_running(job, observed, ready, now), job, observed)
    return _derive(job, phases.RUNNING, explained, now, **changes)


def derive_restarting(
    job: TrainingJob, observed: ObservedJob, finding: Finding, settings: Settings, now: datetime
) -> TrainingJobStatus:
    """Derive the status of a job that restarts; its pods are deleted, and replaced after a backoff."""
    counts, policy = job.status.workers, job.spec.run_policy
    disruptions = counts.disruptions + isinstance(finding, Disruption)
    workers = WorkerCounts(
        ready=0, desired=job.spec.workers.replicas, restarts=counts.restarts + 1, disruptions=disruptions
    )
    if isinstance(finding, Disruption):
        which, failures = f"Disruption {disruptions} of at most {policy.disruption_limit}, restart", 1
    else:
        which, failures = f"Restart {workers.failures} of at most {policy.backoff_limit},", workers.failures
    next_ = _seconds(now + timedelta(seconds=backoff_seconds(settings.restart_seconds, failures)))
    cause = Finding(finding.reason, f"{which} at {format_time(next_)}: {finding.message}")
    changes = _started(job, observed, now) | {"workers": workers, "next_attempt_time": next_, "elastic": None}
    return _derive(job, phases.RESTARTING, cause, now, **changes)


def derive_failed(job: TrainingJob, observed: ObservedJob, finding: Finding, now: datetime) -> TrainingJobStatus:
    """Derive the status of a failed job."""
    changes: dict[str, Any] = {"completion_time": _seconds(now), "workers": _count(job, ready=0)}
    created = bool(observed.pods) or is_true(job.status.conditions, "Created")
    if observed.pods:
        changes |= _started(job, observed, now)
    return _derive(job, phases.FAILED if created else phases.NEVER_CREATED, finding, now, **changes)


def derive_succeeded(
    job: TrainingJob, observed: ObservedJob, report: SuccessReport | Finding, now: datetime
) -> TrainingJobStatus:
    """Derive the status of a succeeded job; the launcher's report has the model and the final progress.

    For a malformed report `report` is a finding; its message is added to the condition.
    """
    changes = _started(job, observed, now) | {"completion_time": _seconds(now), "workers": _count(job, ready=0)}
    # how many those of an elastic job were is known only as of the last report
    which = "The workers of the last epoch" if job.spec.elastic else f"{job.spec.workers.replicas} workers"
    message = f"{which} finished."
    if isinstance(report, Finding):
        message += f" {report.message}"
        report = SuccessReport()
    if model := report.model:
        reference = ArtifactRef(name="model", uri=model.uri, digest=model.digest)
        read = changes.get("provenance", job.status.provenance)
        kept = tuple(artifact for artifact in read if artifact.name != "model")
        changes |= {"model_version": model.version, "provenance": (*kept, reference)}
    if report.progress:
        final = Progress.model_validate(report.progress.to_json()).model_copy(update={"eta_seconds": 0})
        changes["progress"] = stamp_progress(job.status.progress, final, now)
    if report.tracking:
        changes |= derive_tracking(job, MlflowRun.model_validate(report.tracking.to_json()))
    return _derive(job, phases.SUCCEEDED, Finding("TrainingFinished", message), now, **changes)


def derive_finished(job: TrainingJob) -> TrainingJobStatus:
    """Return the status of a finished job, which never changes, as observed for the current generation."""
    generation = job.metadata.generation
    conditions = observe_generation(job.status.conditions, generation)
    return job.status.model_copy(update={"observed_generation": generation, "conditions": conditions})


def _started(job: TrainingJob, observed: ObservedJob, now: datetime) -> dict[str, Any]:
    """Return the fields that are set when a job starts."""
    first = min((pod.created for pod in observed.pods if pod.created), default=now)
    changes: dict[str, Any] = {"start_time": job.status.start_time or _seconds(first)}
    if observed.gate and observed.gate.artifacts:
        changes["provenance"] = observed.gate.artifacts
    return changes


def _derive(
    job: TrainingJob,
    phase: phases.Phase,
    finding: Finding,
    now: datetime,
    restarting: Finding | None = None,
    **changes: Any,
) -> TrainingJobStatus:
    generation, progress = job.metadata.generation, changes.get("progress")
    if progress and progress.resumed_from_step is not None:
        changes["resumed_from_step"] = progress.resumed_from_step
    if job.spec.elastic:
        changes["selector"] = names.selector(names.worker_labels(job))
    if phase not in _BEFORE_RUNNING:
        changes["next_attempt_time"] = None
    desired = phases.build_conditions(phase, finding, restarting)
    conditions = merge_conditions(job.status.conditions, desired, generation, now)
    return job.status.model_copy(
        update={"observed_generation": generation, "conditions": conditions, "phase": phase.name, **changes}
    )


def _restart_in_progress(job: TrainingJob) -> Finding | None:
    """Return why a job whose pods do not run again yet was restarted."""
    restarting = (c for c in job.status.conditions if c.type == "Restarting" and c.status == "True")
    return next((Finding(c.reason, c.message) for c in restarting), None)


def _count(job: TrainingJob, ready: int) -> WorkerCounts:
    return job.status.workers.model_copy(update={"ready": ready, "desired": job.spec.workers.replicas})


def _ready(job: TrainingJob, observed: ObservedJob, *, finished: bool = False) -> int:
    """Return the number of running workers; with `finished`, those that have succeeded count, too."""
    restarts, phases_ = job.status.workers.restarts, ("Running", "Succeeded") if finished else ("Running",)
    return sum(pod.role == names.WORKER and pod.phase in phases_ and pod.attempt == restarts for pod in observed.pods)


def _seconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
