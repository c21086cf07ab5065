"""The record of a job in MLflow, as its launcher reports it: a status, and an event when it begins to lag."""

from typing import Any

from fairlead.api.tracking import MlflowRun, TrackingStatus
from fairlead.api.training_job import TrainingJob
from fairlead.api.training_job_status import TrainingJobStatus
from fairlead.core.plan import Event

UNAVAILABLE = "TrackingUnavailable"


def derive_tracking(job: TrainingJob, reported: MlflowRun | None) -> dict[str, Any]:
    """Return the change of a job's status; all its attempts have the same run, whose ID is kept."""
    if reported is None or job.spec.tracking is None:
        return {}
    known = job.status.tracking.mlflow.run_id if job.status.tracking else None
    run = MlflowRun(run_id=reported.run_id or known, problem=reported.problem)
    return {"tracking": TrackingStatus(mlflow=run)}


def warn_of_tracking(job: TrainingJob, status: TrainingJobStatus) -> tuple[Event, ...]:
    """Return the event that the record lacks something, once for each time that it begins to."""
    before, after = (each.tracking.mlflow.problem if each.tracking else None for each in (job.status, status))
    if after is None or before is not None:
        return ()
    progress = status.progress
    occasion = f"{status.workers.restarts}/{progress.step if progress else 0}"
    return (Event("Warning", UNAVAILABLE, f"The record in MLflow lags: {after}.", "Track", occasion),)
