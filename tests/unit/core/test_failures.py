"""Which ends of an attempt are disruptions, and which are followed by another attempt."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from fairlead.core.conditions import Finding
from fairlead.core.training_job.checks import LOST, AttemptFailure, check_failure, check_pending
from fairlead.core.training_job.failures import DISRUPTED, Disruption, check_limits, find_disruption
from fairlead.core.training_job.images import INCOMPLETE
from fairlead.core.training_job.registration import NOT_FINISHED
from fairlead.core.views import PodView

from tests.support.resources import make_job

EXITED = AttemptFailure("WorkerExited", "Worker 1 exited.", 1, 3)
SILENT = AttemptFailure(LOST, "Worker 1 stopped responding.", 1)
LEFT = Finding(NOT_FINISHED, "All workers have ended.")
HUNG = Finding("ProgressDeadlineExceeded", "Step 5 was not left.")


def pods(**worker_1: Any) -> tuple[PodView, ...]:
    facts = {"phase": "Running"} | worker_1
    return (
        PodView("digits-launcher", "a", "launcher", phase="Running"),
        PodView("digits-worker-0", "b", "worker", 0, phase="Running"),
        PodView("digits-worker-1", "c", "worker", 1, **facts),
    )


def stopped(code: int) -> tuple[PodView, ...]:
    launcher, *workers = pods()
    return launcher, *(replace(worker, phase="Failed" if code else "Succeeded", exit_code=code) for worker in workers)


@pytest.mark.parametrize(
    ("reason", "found", "failure", "running", "expected"),
    [
        ("it was evicted", pods(phase="Failed", disruption="Evicted: x"), EXITED, True, DISRUPTED),
        ("it was preempted before it ran", pods(phase="Failed", disruption="Preempting: x"), EXITED, False, DISRUPTED),
        ("a user deletes it", pods(deleting=True), EXITED, True, DISRUPTED),
        ("its pod is gone", pods()[:2], EXITED, True, LOST),
        ("its pod is gone and the launcher says so", pods()[:2], SILENT, True, LOST),
        ("it is silent, and its container has not ended", pods(), SILENT, True, LOST),
        ("a user deletes it before all ran", pods(deleting=True), Finding("LauncherFailed", "x"), False, DISRUPTED),
        ("the launcher's node is lost", stopped(143), LEFT, True, NOT_FINISHED),
        ("a hang while a pod is taken away", pods(disruption="DeletionByTaintManager: x"), HUNG, True, DISRUPTED),
    ],
)
def test_it_is_a_disruption_if(
    reason: str, found: tuple[PodView, ...], failure: Finding, running: bool, expected: str
) -> None:
    disruption = find_disruption(make_job(), found, failure, running)
    assert disruption is not None, reason
    assert (disruption.reason, failure.message in disruption.message) == (expected, True)


@pytest.mark.parametrize(
    ("reason", "found", "failure", "running"),
    [
        ("its command failed", pods(phase="Failed", exit_code=3), EXITED, True),
        ("it stopped responding and then ended", pods(phase="Failed", exit_code=1), SILENT, True),
        ("its step does not move", pods(), HUNG, True),
        ("its workers ended by themselves", stopped(0), LEFT, True),
        ("a pod of an attempt that never ran does not exist yet", pods()[:2], EXITED, False),
    ],
)
def test_it_is_a_failure_if(reason: str, found: tuple[PodView, ...], failure: Finding, running: bool) -> None:
    assert find_disruption(make_job(), found, failure, running) is None, reason


ELASTIC = {"minReplicas": 1, "maxReplicas": 2}


@pytest.mark.parametrize(
    "found",
    [pods(phase="Failed", disruption="Evicted: x"), pods(deleting=True), pods()[:2], pods()],
    ids=["evicted", "deleted", "gone", "silent"],
)
def test_an_elastic_job_is_not_ended_by_the_loss_of_workers(found: tuple[PodView, ...]) -> None:
    job = make_job(spec__elastic=ELASTIC)
    for failure in (replace(EXITED, worker=0), replace(SILENT, worker=0), HUNG):
        assert find_disruption(job, found, failure, running=True) is None


def test_an_elastic_job_is_disrupted_with_its_launcher() -> None:
    job, (launcher, *workers) = make_job(spec__elastic=ELASTIC), pods()
    gone = find_disruption(job, workers, Finding(LOST, "no launcher"), running=True)
    evicted = find_disruption(job, (replace(launcher, disruption="Evicted: x"), *workers), EXITED, running=True)
    assert (gone and gone.reason, evicted and evicted.reason) == (LOST, DISRUPTED)


def test_an_elastic_job_is_disrupted_with_the_worker_whose_loss_ended_the_run() -> None:
    job, found = make_job(spec__elastic=ELASTIC), pods(phase="Failed", disruption="Evicted: x")
    disruption = find_disruption(job, found, SILENT, running=True)
    assert disruption is not None
    assert disruption == Disruption(DISRUPTED, f"Worker 1 was disrupted (Evicted: x). {SILENT.message}")


@pytest.mark.parametrize("ended", [None, datetime(2026, 3, 1, tzinfo=UTC)])
def test_only_the_exit_code_of_the_training_container_counts(ended: datetime | None) -> None:
    failure = check_failure(make_job(), pods(phase="Failed", exit_code=3, ended=ended), running=True)
    assert isinstance(failure, AttemptFailure)
    assert failure.exit_code == (3 if ended else None)


@pytest.mark.parametrize("reason", ["Unschedulable", "SchedulingGated", "SchedulerError"])
def test_the_reason_of_the_scheduler_is_reported(reason: str) -> None:
    found = check_pending(pods(phase="Pending", unscheduled=reason, waiting=f"{reason}: x"))
    assert found == Finding(reason, f"Worker 1 cannot start: {reason}: x")


def test_other_words_of_a_scheduler_are_no_reason() -> None:
    found = check_pending(pods(phase="Pending", unscheduled="x" * 129, waiting="not yet"))
    assert found == Finding("PodsWaiting", "Worker 1 cannot start: not yet")


def test_an_incomplete_image_is_not_started_again() -> None:
    failure = Finding(INCOMPLETE, "no fairlead-agent")
    assert check_limits(make_job(), failure) == failure


@pytest.mark.parametrize(
    ("policy", "code", "final"),
    [
        ({}, 3, False),
        ({"exitCodes": {"permanent": [3, 4]}}, 3, True),
        ({"exitCodes": {"permanent": [4]}}, 3, False),
        ({"exitCodes": {"retryable": [3]}}, 3, False),
        ({"exitCodes": {"retryable": [4]}}, 3, True),
        ({"exitCodes": {"retryable": [4]}}, None, False),
    ],
)
def test_a_permanent_exit_code_ends_the_job(policy: dict[str, Any], code: int | None, final: bool) -> None:
    failure = AttemptFailure("WorkerExited", "no", 1, code)
    found = check_limits(make_job(spec__runPolicy=policy), failure)
    assert (found is not None) == final
    assert found is None or "spec.runPolicy.exitCodes" in found.message


@pytest.mark.parametrize(
    ("restarts", "disruptions", "failure", "final"),
    [
        (2, 2, EXITED, False),
        (3, 2, EXITED, True),
        (3, 1, Disruption(LOST, "gone"), False),
        (3, 2, Disruption(LOST, "gone"), True),
    ],
)
def test_failures_and_disruptions_have_limits_of_their_own(
    restarts: int, disruptions: int, failure: Finding, final: bool
) -> None:
    status = {"workers": {"restarts": restarts, "disruptions": disruptions}}
    job = make_job(status, spec__runPolicy={"backoffLimit": 1, "disruptionLimit": 2})
    assert (check_limits(job, failure) is not None) == final


def test_a_job_may_allow_no_disruption() -> None:
    found = check_limits(make_job(spec__runPolicy={"disruptionLimit": 0}), Disruption(LOST, "gone"))
    message = "This is disruption 1; spec.runPolicy.disruptionLimit allows 0. gone"
    assert found == Finding("DisruptionLimitExceeded", message)
