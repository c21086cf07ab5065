"""What a job does while the API server rejects some of its pods, such as over a quota.

It keeps those that exist for a while and tries again; then it releases their resources and backs off, so that two jobs
that each hold a part of what both need cannot block each other for ever.
"""

from datetime import datetime
from hashlib import sha256

from fairlead.api.training_job import TrainingJob
from fairlead.core.conditions import Finding, format_time, transition_time
from fairlead.core.plan import Event, Plan, delete_pods
from fairlead.core.settings import Settings
from fairlead.core.training_job.checks import seconds_to_deadline
from fairlead.core.training_job.observed import ObservedJob
from fairlead.core.training_job.status import derive_pending, derive_released
from fairlead.core.views import PodView

RELEASED = "ResourcesReleased"
_RETRY_SECONDS = 5.0
"""How often to try again while pods of the job are held: others may release what it needs for a short time only."""
_MIN_BACKOFF, _MAX_BACKOFF = 20, 80
"""Seconds between a release and the next attempt. Its length differs between jobs and from one release to the next."""


def plan_rejected(
    job: TrainingJob,
    observed: ObservedJob,
    rejection: Finding,
    current: tuple[PodView, ...],
    settings: Settings,
    now: datetime,
) -> Plan:
    """Report that a child was rejected; release the other pods if they have been held for too long."""
    held_since = min((pod.created for pod in current if pod.created), default=None)
    if held_since and (now - held_since).total_seconds() >= settings.creation_seconds:
        message = f"{len(current)} pods were deleted after {settings.creation_seconds:.0f} s, because others could not"
        finding = Finding(RELEASED, f"{message} be created: {rejection.message}")
        event = Event("Warning", RELEASED, finding.message, "Create", format_time(now))
        status = derive_released(job, finding, now)
        return Plan(status, delete=delete_pods(current), events=(event,), requeue_after=_MIN_BACKOFF)
    status = derive_pending(job, observed, rejection, now)
    deadline = seconds_to_deadline(job, status, now)
    waits = [seconds for seconds in (deadline, _RETRY_SECONDS if current else None) if seconds is not None]
    return Plan(status, requeue_after=min(waits, default=None))


def seconds_until_creation(job: TrainingJob, now: datetime) -> float:
    """Return the seconds that a job which released its pods still has to wait; 0 if it may create them."""
    released = any(c.type == "Created" and c.status == "False" and c.reason == RELEASED for c in job.status.conditions)
    since = transition_time(job.status.conditions, "Created")
    if not released or since is None:
        return 0.0
    seed = int(sha256(f"{job.metadata.uid}/{since.isoformat()}".encode()).hexdigest(), 16)
    backoff = _MIN_BACKOFF + seed % (_MAX_BACKOFF - _MIN_BACKOFF)
    return max(0.0, backoff - (now - since).total_seconds())
