"""What a job does while its pods start and their workers register: it waits, and reports what takes long."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from fairlead.api.training_job import TrainingJob
from fairlead.api.training_job_status import TrainingJobStatus
from fairlead.core.conditions import Finding
from fairlead.core.plan import Plan
from fairlead.core.training_job.build import build_key_secret
from fairlead.core.training_job.checks import check_pending, seconds_to_deadline
from fairlead.core.training_job.observed import ObservedJob
from fairlead.core.training_job.registration import (
    SILENT_SECONDS,
    is_registering,
    seconds_of_silence,
    seconds_to_ended_workers,
)
from fairlead.core.training_job.status import derive_created, derive_pending
from fairlead.core.views import PodView

REPORT_SECONDS, _REGISTER_SECONDS = 2.0, 5.0
"""How long pods may take to start, and their workers to register, before the status reports it.

A quick start saves a write.
"""
_RETRY_SECONDS = 1.0
"""How often to ask again whether a launcher is silent."""
_KEY_SECONDS = 30.0
"""How long a pod may take to start on its node before the job's key is created again, in case it was deleted."""


def plan_pending_pods(
    job: TrainingJob, observed: ObservedJob, current: tuple[PodView, ...], now: datetime, key: str
) -> Plan:
    """Report pods that cannot start or that take longer than a quick start."""
    if waiting := check_pending(current):
        status = derive_pending(job, observed, waiting, now)
    else:
        if seconds := _seconds_left(current, REPORT_SECONDS, now):
            return Plan(job.status, requeue_after=seconds)
        status = derive_created(job, observed, now)
    slow = [pod for pod in current if pod.phase == "Pending" and pod.scheduled and pod.created]
    if not slow:
        return Plan(status, requeue_after=seconds_to_deadline(job, status, now))
    oldest = max((now - pod.created).total_seconds() for pod in slow if pod.created)
    # a pod's status does not say that its Secret is missing, and Secrets are not watched
    if oldest < _KEY_SECONDS:
        return Plan(status, requeue_after=soonest(job, status, now, min(_KEY_SECONDS - oldest, _KEY_SECONDS)))
    return Plan(status, apply=(build_key_secret(job, key),), requeue_after=soonest(job, status, now, _KEY_SECONDS))


def plan_registration(
    job: TrainingJob, observed: ObservedJob, finding: Finding, current: tuple[PodView, ...], now: datetime
) -> Plan:
    """Report the workers that the launcher waits for, unless their start is quick; its next report is a change."""
    if seconds := _seconds_left(current, _REGISTER_SECONDS, now):
        return Plan(job.status, requeue_after=seconds)
    status = derive_pending(job, observed, finding, now)
    if is_registering(job, observed):
        return Plan(status, requeue_after=seconds_to_next(job, observed, current, status, now))
    silence = SILENT_SECONDS - seconds_of_silence(observed.launcher, now)
    # a deadline that does not apply meanwhile may have passed
    return Plan(status, requeue_after=max(_RETRY_SECONDS, soonest(job, status, now, silence)))


def seconds_to_next(
    job: TrainingJob, observed: ObservedJob, current: tuple[PodView, ...], status: TrainingJobStatus, now: datetime
) -> float | None:
    """Return the seconds until something has to be decided without a change; None if nothing has."""
    next_ = (seconds_to_deadline(job, status, now), seconds_to_ended_workers(job, observed, current, now))
    return least(next_)


def least(waits: Iterable[float | None]) -> float | None:
    """Return the shortest of some waits, of which None is none."""
    return min((seconds for seconds in waits if seconds is not None), default=None)


def soonest(job: TrainingJob, status: TrainingJobStatus, now: datetime, seconds: float) -> float:
    """Return the seconds until the next deadline, `seconds` at most."""
    deadline = seconds_to_deadline(job, status, now)
    return seconds if deadline is None else min(seconds, deadline)


def _seconds_left(pods: Iterable[PodView], seconds: float, now: datetime) -> float:
    """Return what is left of `seconds` since the youngest pod was created; 0 if nothing is."""
    youngest = max((pod.created for pod in pods if pod.created), default=now - timedelta(seconds=seconds))
    age = (now - youngest).total_seconds()
    return seconds - age if 0 <= age < seconds else 0.0
