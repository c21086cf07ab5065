"""The progress of a job: how it gets into the status, and whether the training still moves.

The status has the last step and when it changed, written with the progress at its bounded rate, so that another
operator goes on counting. A job is judged by what its launcher last answered, which may be newer than the status: it
hangs if that answer was read a deadline after the last change and has the same step. A launcher that cannot be read
proves nothing, and a step that moved but waits for its turn to be written is no standstill.
"""

from datetime import datetime, timedelta

from fairlead.api.training_job import TrainingJob
from fairlead.api.training_job_status import Progress, TrainingJobStatus
from fairlead.core.conditions import Finding, format_time, is_true, transition_time
from fairlead.core.plan import Event
from fairlead.core.settings import Settings
from fairlead.core.training_job.observed import ObservedJob

DAMAGED = "CheckpointDamaged"
_RETRY_SECONDS = 5.0
"""How often to look again at a job whose launcher was not read since the deadline."""


def derive_progress(job: TrainingJob, observed: ObservedJob, settings: Settings, now: datetime) -> Progress | None:
    """Return the progress of a running job, which is updated at a bounded rate."""
    before, fresh = job.status.progress, _reported(observed)
    if fresh is None or _same(before, fresh) or _seconds_to_update(before, settings, now) > 0:
        return before
    return stamp_progress(before, fresh, now)


def stamp_progress(before: Progress | None, fresh: Progress, now: datetime) -> Progress:
    """Return reported progress with the times at which it was written and at which the step last changed."""
    now = now.replace(microsecond=0)
    stepped = _stepped_at(before) if before and before.step == fresh.step else now
    return fresh.model_copy(update={"updated_at": now, "stepped_at": stepped})


def warn_of_damage(job: TrainingJob, status: TrainingJobStatus) -> tuple[Event, ...]:
    """Return the event that the training continued from an older checkpoint because later ones are damaged."""
    before, after = job.status.progress, status.progress
    damaged = after.damaged_steps if after else None
    if not damaged or (before is not None and before.damaged_steps == damaged):
        return ()
    steps, again = ", ".join(map(str, damaged)), f"continued from step {status.resumed_from_step}"
    message = f"The checkpoints of these steps are damaged: {steps}. The training {again}."
    return (Event("Warning", DAMAGED, message, "Resume", f"{status.workers.restarts}/{steps}"),)


def check_progress(job: TrainingJob, observed: ObservedJob) -> Finding | None:
    """Find a running job whose step has not changed for longer than its deadline."""
    deadline, report = job.spec.run_policy.progress_deadline_seconds, observed.launcher.report
    since = _still_since(job.status, observed)
    if deadline is None or since is None or report is None or report.read is None:
        return None
    known = job.status.progress
    if report.step is not None and (known is None or report.step != known.step):
        return None
    if (report.read - since).total_seconds() < deadline:
        return None
    still = "No step was reported" if report.step is None else f"Step {report.step} was not left"
    allowed = f"spec.runPolicy.progressDeadlineSeconds allows {deadline}"
    seconds = f"{(report.read - since).total_seconds():.0f} s"
    return Finding("ProgressDeadlineExceeded", f"{still} since {format_time(since)}, for {seconds}; {allowed}.")


def seconds_to_progress(
    job: TrainingJob, observed: ObservedJob, status: TrainingJobStatus, settings: Settings, now: datetime
) -> float | None:
    """Return the seconds until progress has to be written or to be missed without a change; None if never."""
    times = []
    deadline, since, fresh = (
        job.spec.run_policy.progress_deadline_seconds,
        _still_since(status, observed),
        _reported(observed),
    )
    if deadline is not None and since is not None:
        times.append(max(_RETRY_SECONDS, (since + timedelta(seconds=deadline) - now).total_seconds()))
    if fresh is not None and not _same(status.progress, fresh):
        times.append(_seconds_to_update(status.progress, settings, now))
    return min(times, default=None)


def _reported(observed: ObservedJob) -> Progress | None:
    return observed.launcher.report.progress if observed.launcher.report else None


def _seconds_to_update(before: Progress | None, settings: Settings, now: datetime) -> float:
    """Return the seconds until the progress may be written again; 0 if it may."""
    if before is None or before.updated_at is None:
        return 0.0
    return max(0.0, settings.progress_seconds - (now - before.updated_at).total_seconds())


def _still_since(status: TrainingJobStatus, observed: ObservedJob) -> datetime | None:
    """Return since when the step of a running job has not changed; None if the job does not run or has no step left.

    The status may have the last step of an earlier attempt, so that only the launcher says that none is left.
    """
    fresh = _reported(observed)
    progress, running = status.progress, transition_time(status.conditions, "Running")
    if running is None or not is_true(status.conditions, "Running"):
        return None
    if fresh and fresh.total_steps is not None and fresh.step >= fresh.total_steps:
        return None  # what follows, such as the publication of the model, has no steps
    return max(running, (progress and _stepped_at(progress)) or running)


def _stepped_at(progress: Progress) -> datetime | None:
    """Return when the step changed; earlier versions wrote only when the progress did."""
    return progress.stepped_at or progress.updated_at


def _same(before: Progress | None, after: Progress) -> bool:
    return before is not None and before.model_copy(update={"updated_at": None, "stepped_at": None}) == after
