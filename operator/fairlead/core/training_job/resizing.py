"""The plan of an elastic job: its workers are replaced, added and let go while it trains."""

from datetime import datetime

from fairlead.api.training_job import TrainingJob
from fairlead.api.training_job_status import MAX_REPLACED, ElasticStatus
from fairlead.core.conditions import is_true
from fairlead.core.plan import Event, Plan, delete_pods
from fairlead.core.settings import Settings
from fairlead.core.training_job.checks import explain_failure, seconds_to_deadline
from fairlead.core.training_job.elastic import Workers, has_begun, seconds_to_lost_launcher
from fairlead.core.training_job.observed import ObservedJob
from fairlead.core.training_job.progress import seconds_to_progress, warn_of_damage
from fairlead.core.training_job.starting import least, soonest
from fairlead.core.training_job.status import derive_running
from fairlead.core.training_job.tracking import warn_of_tracking
from fairlead.core.views import PodView

REJECTED_SECONDS = 30.0
"""How often to try to create a worker of a running elastic job that the API server rejects."""


def plan_resizing(
    job: TrainingJob,
    observed: ObservedJob,
    current: tuple[PodView, ...],
    workers: Workers,
    settings: Settings,
    now: datetime,
) -> Plan:
    """Replace, add and remove workers of an elastic job; a rejected one is tried again later."""
    begun = is_true(job.status.conditions, "Running") or has_begun(observed)
    status = derive_running(job, observed, settings, now) if begun else job.status
    if lost := seconds_to_lost_launcher(observed.launcher, current, now):
        return Plan(status, requeue_after=soonest(job, status, now, lost))
    again = (
        workers.again,
        REJECTED_SECONDS if observed.rejection else None,
        seconds_to_deadline(job, status, now),
        seconds_to_progress(job, observed, status, settings, now) if begun else None,
    )
    if workers.counted:
        elastic = (status.elastic or ElasticStatus()).model_copy(update={"replaced": workers.replaced})
        status = status.model_copy(update={"elastic": elastic})
    return Plan(
        status,
        apply=workers.create if begun and not observed.rejection else (),
        delete=delete_pods(workers.surplus),
        delete_counted=delete_pods(workers.failed),
        events=(
            *(_replacement(job, pod, workers) for pod in workers.counted[-MAX_REPLACED:]),
            *warn_of_tracking(job, status),
            *warn_of_damage(job, status),
        ),
        requeue_after=least(again),
    )


def _replacement(job: TrainingJob, pod: PodView, workers: Workers) -> Event:
    """Return the event that a worker is replaced."""
    times = next(known.times for known in workers.replaced if known.worker == pod.index)
    times_ = f"{times} time{'s' if times > 1 else ''}"
    text = f"Worker {pod.index} is replaced, {times_} by now: {explain_failure(pod).message}"
    return Event("Warning", "WorkerReplaced", text, "Replace", f"{job.status.workers.restarts}/{pod.uid}")
