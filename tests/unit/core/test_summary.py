"""What a change of a job's status adds to the metrics, and what gauges show of a job."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fairlead.api.training_job import TrainingJob
from fairlead.api.training_job_status import TrainingJobStatus
from fairlead.core.conditions import Finding, merge_conditions
from fairlead.core.training_job import phases
from fairlead.core.training_job.summary import Changes, JobSummary, derive_changes, summarize_job

from tests.support.resources import TRAINING_JOB, change, make_job

CREATED = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
ELASTIC = {"spec__elastic": {"minReplicas": 1, "maxReplicas": 4}}


def live(*lives: tuple[phases.Phase, int], **fields: Any) -> TrainingJobStatus:
    """Return the status of a job that has been in these phases, each since so many seconds after its creation."""
    conditions: Any = ()
    for phase, seconds in lives:
        desired = phases.build_conditions(phase, Finding("Reason", "message"))
        conditions = merge_conditions(conditions, desired, 1, CREATED + timedelta(seconds=seconds))
    return TrainingJobStatus.model_validate({"conditions": conditions, **fields})


def job_with(status: TrainingJobStatus, **changes: Any) -> TrainingJob:
    created = {"metadata__creationTimestamp": "2026-03-01T12:00:00Z"}
    return make_job(status.model_dump(mode="json", by_alias=True), **(created | changes))


def test_the_time_to_running_is_counted_from_the_creation() -> None:
    before = live((phases.PENDING, 1))
    after = live((phases.PENDING, 1), (phases.RUNNING, 42))
    assert derive_changes(job_with(before), after).started_after == 42


@pytest.mark.parametrize(
    "between", [phases.RESTARTING, phases.SUSPENDED, phases.PENDING], ids=["restarted", "suspended", "pending"]
)
def test_a_job_that_runs_again_has_not_just_started(between: phases.Phase) -> None:
    lives = [(phases.PENDING, 1), (phases.RUNNING, 42), (between, 60)]
    after = live(*lives, (phases.RUNNING, 70))
    assert derive_changes(job_with(live(*lives)), after).started_after is None


def test_restarts_are_counted_by_cause() -> None:
    before = live(workers={"restarts": 2, "disruptions": 1})
    failed, disrupted = (
        live(workers={"restarts": 3, "disruptions": 1}), live(workers={"restarts": 3, "disruptions": 2}),
    )  # fmt: skip
    assert derive_changes(job_with(before), failed) == Changes(failures=1)
    assert derive_changes(job_with(before), disrupted) == Changes(disruptions=1)


@pytest.mark.parametrize(("phase", "result"), [(phases.SUCCEEDED, "succeeded"), (phases.FAILED, "failed")])
def test_a_job_finishes_once(phase: phases.Phase, result: str) -> None:
    after = live((phase, 90), completion_time=CREATED)
    assert derive_changes(job_with(live((phases.RUNNING, 9))), after).result == result
    assert derive_changes(job_with(after), after) == Changes()


@pytest.mark.parametrize(
    ("before", "after", "lost", "reason"),
    [
        ({"step": 90}, {"step": 100}, 0, "it went on"),
        ({"step": 100}, {"step": 92, "resumedFromStep": 90}, 10, "it resumed from a checkpoint"),
        ({"step": 100}, {"step": 105, "resumedFromStep": 90}, 10, "it has caught up before it was seen"),
        ({"step": 100, "resumedFromStep": 90}, {"step": 105, "resumedFromStep": 90}, 0, "the same attempt goes on"),
        ({"step": 99, "resumedFromStep": 90}, {"step": 91, "resumedFromStep": 90}, 9, "the same checkpoint again"),
        ({"step": 100}, {"step": 3}, 97, "it began anew, or from a checkpoint of its own"),
        (None, {"step": 5, "resumedFromStep": 4}, 0, "nothing was known before"),
        ({"step": 100}, None, 0, "nothing is known now"),
    ],
)
def test_steps_that_are_done_again_are_lost(before: Any, after: Any, lost: int, reason: str) -> None:
    changes = derive_changes(job_with(live(progress=before)), live(progress=after))
    assert changes.lost_steps == lost, reason


def test_an_elastic_job_counts_what_its_launcher_counts() -> None:
    before = live(elastic={"epoch": 2, "lost_steps": 5, "lost_workers": 1}, progress={"step": 50})
    after = live(
        elastic={"epoch": 4, "lost_steps": 12, "lost_workers": 2, "reason": "WorkersLost"}, progress={"step": 43}
    )
    expected = Changes(lost_steps=7, lost_workers=1, epochs={"WorkersLost": 2})
    assert derive_changes(job_with(before, **ELASTIC), after) == expected


def test_another_attempt_of_an_elastic_job_counts_from_zero() -> None:
    assert derive_changes(job_with(live(elastic={"epoch": 9}), **ELASTIC), live()) == Changes()
    after = live(elastic={"epoch": 1, "reason": "WorkersJoined"})
    assert derive_changes(job_with(live(), **ELASTIC), after) == Changes(epochs={"WorkersJoined": 1})


def test_a_checkpoint_is_counted_when_its_step_is_new() -> None:
    first = {"step": 60, "checkpointStep": 50, "checkpointSeconds": 1.5, "checkpointBytes": 2048}
    assert derive_changes(job_with(live()), live(progress=first)).checkpoint == (1.5, 2048)
    assert derive_changes(job_with(live(progress=first)), live(progress=first | {"step": 70})).checkpoint is None
    resumed = {"step": 60, "checkpointStep": 50}
    assert derive_changes(job_with(live()), live(progress=resumed)).checkpoint is None, "it was written before"


def test_a_summary_has_what_gauges_show() -> None:
    status = {"phase": "Running", "progress": {"step": 3, "totalSteps": 9, "samplesPerSecond": 12.5}}
    job = change(TRAINING_JOB, spec__launcher="Torchrun") | {"status": status}
    assert summarize_job(job) == JobSummary("Running", "Torchrun", 3, 9, 12.5)
    assert summarize_job(TRAINING_JOB) == JobSummary("Pending", "Horovod"), "it has no status yet"
    assert summarize_job(TRAINING_JOB | {"status": {"phase": "Paused"}}).phase == "Unknown", "of a newer version"
