"""Whether a training still moves, judged by its launcher's answers and by what the status kept."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fairlead.api.training_job import TrainingJob
from fairlead.api.training_job_status import Progress
from fairlead.core.conditions import Finding, merge_conditions
from fairlead.core.settings import Settings
from fairlead.core.training_job import phases
from fairlead.core.training_job.observed import Launcher, LauncherReport, ObservedJob
from fairlead.core.training_job.progress import check_progress, derive_progress, seconds_to_progress

from tests.support.resources import make_job

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
DEADLINE = 100
NO_STEP = "No step was reported since 2026-03-01T12:00:00Z"
UNTIMED = {"step": 5, "updatedAt": "2026-03-01T12:00:20Z"}


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def running(
    progress: dict[str, Any] | None = None, since: float = 0, phase: phases.Phase = phases.RUNNING
) -> TrainingJob:
    desired = phases.build_conditions(phase, Finding("WorkersRunning", ""))
    conditions = [c.model_dump(by_alias=True) for c in merge_conditions((), desired, 1, at(since))]
    status = {"conditions": conditions} | ({"progress": progress} if progress else {})
    return make_job(status, spec__runPolicy={"progressDeadlineSeconds": DEADLINE})


def answered(seconds: float, step: int | None, total: int | None = None) -> ObservedJob:
    """Return what is known after the launcher answered with this step."""
    published = None if step is None else Progress(step=step, total_steps=total)
    return ObservedJob(launcher=Launcher(LauncherReport(2, 2, read=at(seconds), step=step, progress=published)))


def progress(step: int, stepped: float, **more: Any) -> dict[str, Any]:
    return {"step": step, "steppedAt": at(stepped).isoformat()} | more


@pytest.mark.parametrize(
    ("reason", "job", "observed"),
    [
        ("the last change is recent", running(progress(5, 20)), answered(110, 5)),
        ("the launcher was not read since the deadline", running(progress(5, 0)), answered(99, 5)),
        ("the step has moved, which the status does not say yet", running(progress(5, 0)), answered(500, 6)),
        ("the step went back, as after a restore", running(progress(5, 0)), answered(500, 4)),
        ("this attempt runs for a short time", running(progress(5, -900), since=20), answered(110, 5)),
        ("what follows the last step has none", running(progress(9, 0, totalSteps=9)), answered(500, 9, 9)),
        ("the job does not run", running(progress(5, 0), phase=phases.PENDING), answered(500, 5)),
        ("the launcher was never read", running(progress(5, 0)), ObservedJob()),
        ("an earlier version wrote the status", running(UNTIMED), answered(110, 5)),
        ("no deadline is set", make_job(), answered(500, None)),
    ],
)  # fmt: skip
def test_a_job_is_no_hang_if(reason: str, job: TrainingJob, observed: ObservedJob) -> None:
    assert check_progress(job, observed) is None, reason


@pytest.mark.parametrize(
    ("job", "observed", "message"),
    [
        (running(progress(5, 20)), answered(120, 5), "Step 5 was not left since 2026-03-01T12:00:20Z"),
        (running(), answered(100, None), NO_STEP),
        # the attempt before had reached a step, this one reports none
        (running(progress(5, -900)), answered(100, None), NO_STEP),
        # the attempt before had reached its last step
        (running(progress(9, -9, totalSteps=9)), answered(100, None), NO_STEP),
    ],
)  # fmt: skip
def test_a_step_that_is_not_left_is_a_hang(job: TrainingJob, observed: ObservedJob, message: str) -> None:
    message += ", for 100 s; spec.runPolicy.progressDeadlineSeconds allows 100."
    assert check_progress(job, observed) == Finding("ProgressDeadlineExceeded", message)


def test_the_time_of_the_last_step_is_kept_while_only_metrics_change() -> None:
    job = running(progress(5, 20))
    report = LauncherReport(2, 2, progress=Progress(step=5, metrics={"loss": 1.0}))
    found = derive_progress(job, ObservedJob(launcher=Launcher(report)), Settings(), at(60.7))
    assert found == Progress(step=5, metrics={"loss": 1.0}, updated_at=at(60), stepped_at=at(20))


def test_progress_that_came_too_soon_is_written_later() -> None:
    job = running(progress(5, 0, updatedAt=at(10).isoformat()))
    observed = answered(10.5, 6)
    assert derive_progress(job, observed, Settings(), at(10.5)) == job.status.progress
    again = seconds_to_progress(job, observed, job.status, Settings(), at(10.5))
    assert again == 1.5
    written = derive_progress(job, observed, Settings(), at(10.5 + again))
    assert written is not None
    assert (written.step, written.stepped_at) == (6, at(12))
