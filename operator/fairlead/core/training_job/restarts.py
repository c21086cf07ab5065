"""Restarts of a job: how long it backs off before its next attempt, during which none of its pods exists."""

from datetime import datetime

from fairlead.api.training_job import TrainingJob

MAX_BACKOFF = 360.0
"""Seconds, as in a Kubernetes Job."""


def backoff_seconds(first: float, failures: int) -> float:
    """Return the seconds between a failure and the next attempt: `first` after one failure, then doubled each time.

    Failures 1, 2, 3, … of a job with `first` 10 are followed by 10, 20, 40, 80, 160, 320, 360, 360, … seconds.
    """
    return min(first * 2.0 ** (failures - 1), MAX_BACKOFF)


def seconds_until_attempt(job: TrainingJob, now: datetime) -> float:
    """Return the seconds that a job still has to back off; 0 if its pods may be created.

    A time that is further away than any backoff was written by a clock that was wrong.
    """
    next_ = job.status.next_attempt_time
    seconds = (next_ - now).total_seconds() if next_ else 0.0
    return seconds if 0 < seconds <= MAX_BACKOFF else 0.0
