"""When the workers of an elastic job are replaced, and when their launcher counts as lost."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fairlead.api.training_job import TrainingJob
from fairlead.api.training_job_status import MAX_REPLACED, Progress
from fairlead.core.conditions import Finding, merge_conditions
from fairlead.core.settings import Settings
from fairlead.core.training_job import phases
from fairlead.core.training_job.elastic import plan_workers, seconds_to_lost_launcher
from fairlead.core.training_job.observed import Launcher, LauncherReport, ObservedJob
from fairlead.core.training_job.plan import plan_training_job
from fairlead.core.views import PodView

from tests.support.resources import make_job

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def worker(index: int, **changes: Any) -> PodView:
    facts = {"role": "worker", "phase": "Running", "created": ago(90)} | changes
    return PodView(name=f"digits-worker-{index}", uid=f"uid-{index}", index=index, **facts)


def job(times: int = 0, cooldown: int = 30, replicas: int = 2) -> TrainingJob:
    elastic = {"minReplicas": 1, "maxReplicas": 512, "hostCooldownSeconds": cooldown}
    replaced = [{"worker": 1, "times": times}] if times else []
    return make_job({"elastic": {"replaced": replaced}}, spec__elastic=elastic, spec__workers__replicas=replicas)


@pytest.mark.parametrize(
    ("reason", "times", "cooldown", "changes", "seconds"),
    [
        ("its first failure", 0, 30, {}, 30),
        ("its second one", 1, 30, {}, 60),
        ("its fifth one", 4, 30, {}, 480),
        ("its tenth one, within the limit", 9, 30, {}, 600),
        ("a long cool-down is never shortened", 9, 3600, {}, 3600),
        ("one that ran for long", 9, 30, {"created": ago(3600)}, 30),
        ("stopped by its launcher", 0, 30, {"exit_code": 143}, 0),
        ("stopped again", 1, 30, {"exit_code": 143}, 30),
        ("no time of its end", 5, 30, {"ended": None}, 0),
        ("evicted, with the time of its end", 0, 30, {"exit_code": 137, "disruption": "Evicted: x"}, 0),
        ("evicted again", 2, 30, {"exit_code": 137, "disruption": "Evicted: x"}, 60),
    ],
)
def test_a_failed_worker_is_replaced_after_a_while(
    reason: str, times: int, cooldown: int, changes: dict[str, Any], seconds: float
) -> None:
    failed = worker(1, **{"phase": "Failed", "exit_code": 3, "ended": NOW} | changes)
    plan = plan_workers(job(times, cooldown), (worker(0), failed), Settings(), NOW)
    assert plan.again == (seconds or None), reason
    assert plan.failed == (() if seconds else (failed,))
    later = plan_workers(job(times, cooldown), (worker(0), failed), Settings(), NOW + timedelta(seconds=seconds))
    assert later.failed == (failed,)


def test_a_worker_whose_replacement_is_counted_is_only_deleted() -> None:
    failed = worker(1, phase="Failed", exit_code=3, ended=ago(30))
    first = plan_workers(job(1, cooldown=10), (worker(0), failed), Settings(), NOW)
    assert (first.failed, first.counted) == ((failed,), (failed,))
    after = make_job({"elastic": {"replaced": first.replaced}}, **{"spec__elastic": job().spec.elastic})
    # the operator was killed before it deleted the pod, or before the API server's answer
    again = plan_workers(after, (worker(0), failed), Settings(), NOW)
    assert (again.failed, again.counted, again.replaced) == ((failed,), (), first.replaced)
    assert [(known.worker, known.times, known.uid) for known in again.replaced] == [(1, 2, "uid-1")]


def test_what_is_remembered_of_replaced_workers_is_bounded() -> None:
    failed = tuple(worker(index, phase="Failed") for index in range(100))
    plan = plan_workers(job(7, replicas=100), failed, Settings(), NOW)
    assert len(plan.failed) == 100
    assert [known.worker for known in plan.replaced] == list(range(100 - MAX_REPLACED, 100))


def test_many_workers_that_fail_at_once_are_all_replaced_with_few_events() -> None:
    launcher = PodView(name="digits-launcher", uid="uid-launcher", role="launcher", phase="Running")
    pods = (launcher, *(worker(index, phase="Failed") for index in range(100)))
    observed = ObservedJob(pods, service_uid="service", launcher=Launcher(LauncherReport(100, 100)))
    plan = plan_training_job(job(replicas=100), observed, Settings(), NOW, key="ab" * 32)
    assert len(plan.delete_counted) == 100
    assert len(plan.events) == MAX_REPLACED


def test_a_worker_that_is_being_deleted_is_not_replaced_twice() -> None:
    plan = plan_workers(job(), (worker(0), worker(1, phase="Failed", deleting=True)), Settings(), NOW)
    assert (plan.failed, plan.create, plan.replaced) == ((), (), ())


LAUNCHER = PodView(name="digits-launcher", uid="uid-launcher", role="launcher", phase="Running")


def running(policy: dict[str, Any], progress: dict[str, Any] | None = None) -> TrainingJob:
    """Return an elastic job that has been running for 90 s."""
    desired = phases.build_conditions(phases.RUNNING, Finding("WorkersRunning", ""))
    conditions = [c.model_dump(by_alias=True) for c in merge_conditions((), desired, 1, ago(90))]
    status = {"conditions": conditions, "startTime": ago(90).isoformat(), "elastic": {"epoch": 3, "workers": 2}}
    elastic = {"minReplicas": 1, "maxReplicas": 512}
    status |= {"progress": progress} if progress else {}
    return make_job(status, spec__elastic=elastic, spec__runPolicy=policy)


def observe(*workers: PodView, step: int | None = None) -> ObservedJob:
    """Return what is known after a launcher of two workers has just answered."""
    progress = None if step is None else Progress(step=step)
    report = LauncherReport(2, 2, read=NOW, step=step, progress=progress)
    return ObservedJob((LAUNCHER, *workers), service_uid="service", launcher=Launcher(report))


def test_a_running_job_is_looked_at_again_when_its_step_is_due() -> None:
    stepped = {"step": 5, "steppedAt": ago(80).isoformat(), "updatedAt": ago(80).isoformat()}
    job = running({"progressDeadlineSeconds": 100}, stepped)
    plan = plan_training_job(job, observe(worker(0), worker(1), step=5), Settings(), NOW, key="ab" * 32)
    assert plan.requeue_after == 20
    late = running({"progressDeadlineSeconds": 80}, stepped)
    plan = plan_training_job(late, observe(worker(0), worker(1), step=5), Settings(), NOW, key="ab" * 32)
    assert [event.reason for event in plan.events] == ["ProgressDeadlineExceeded"]


def test_progress_that_came_too_soon_is_written_in_its_turn() -> None:
    job = running({}, {"step": 5, "updatedAt": ago(1).isoformat()})
    plan = plan_training_job(job, observe(worker(0), worker(1), step=6), Settings(), NOW, key="ab" * 32)
    assert plan.requeue_after == Settings().progress_seconds - 1


MISSING = {"exit_code": 127, "termination_message": 'exec: "fairlead-agent": executable file not found'}


@pytest.mark.parametrize(
    ("reason", "policy", "changes", "final"),
    [
        ("a permanent code", {"permanent": [3]}, {}, True),
        ("none of the retryable codes", {"retryable": [4]}, {}, True),
        ("another code", {"permanent": [4]}, {}, False),
        ("no policy", None, {}, False),
        ("an image without the agent", None, MISSING, True),
        ("stopped by its launcher", {"retryable": [4]}, {"exit_code": 143}, False),
        ("evicted", {"permanent": [137]}, {"exit_code": 137, "disruption": "Evicted: x"}, False),
        ("replaced already", {"permanent": [3]}, {"deleting": True}, False),
        ("not asked for any more", {"permanent": [3]}, {"index": 2}, False),
    ],
)
def test_a_worker_that_no_other_pod_would_help_ends_the_job(
    reason: str, policy: dict[str, Any] | None, changes: dict[str, Any], final: bool
) -> None:
    job = running({"exitCodes": policy} if policy else {})
    facts = {"index": 1, "phase": "Failed", "exit_code": 3, "ended": NOW} | changes
    observed = observe(worker(0), worker(**facts))
    plan = plan_training_job(job, observed, Settings(), NOW, key="ab" * 32)
    assert (plan.status.phase, plan.status.workers.restarts) == ("Failed" if final else "Running", 0), reason


@pytest.mark.parametrize(
    ("reason", "limit", "times", "changes", "registered", "restarts"),
    [
        ("its first failure", 3, 0, {}, 0, 0),
        ("its fourth one", 3, 3, {}, 0, 1),
        ("the first one, and none is allowed", 0, 0, {}, 0, None),
        ("the job has begun without it", 3, 3, {}, 1, 0),
        ("it was stopped", 3, 3, {"exit_code": 143}, 0, 0),
        ("it was evicted", 3, 3, {"disruption": "Evicted: x"}, 0, 0),
    ],
)
def test_an_attempt_ends_if_a_worker_fails_again_and_again_before_it_has_begun(
    reason: str, limit: int, times: int, changes: dict[str, Any], registered: int, restarts: int | None
) -> None:
    elastic = {"minReplicas": 1, "maxReplicas": 2}
    status = {"startTime": ago(300), "elastic": {"replaced": [{"worker": 1, "times": times}] if times else []}}
    starting = make_job(status, spec__elastic=elastic, spec__runPolicy={"backoffLimit": limit})
    failed = worker(1, **{"phase": "Failed", "exit_code": 3, "ended": NOW} | changes)
    report = Launcher(LauncherReport(registered, 1))
    observed = ObservedJob((LAUNCHER, worker(0), failed), service_uid="service", launcher=report)
    plan = plan_training_job(starting, observed, Settings(), NOW, key="ab" * 32)
    found = None if plan.status.phase == "Failed" else plan.status.workers.restarts
    assert found == restarts, reason


def test_a_job_that_has_succeeded_does_not_claim_workers_that_it_had_lost() -> None:
    succeeded = replace(LAUNCHER, phase="Succeeded")
    plan = plan_training_job(running({}), ObservedJob((succeeded, worker(0))), Settings(), NOW, key="ab" * 32)
    messages = {c.type: c.message for c in plan.status.conditions}
    assert messages["Succeeded"] == "The workers of the last epoch finished."


def test_a_suspended_job_shows_nothing_of_the_workers_that_it_had() -> None:
    plan = plan_training_job(running({"suspend": True}), observe(worker(0)), Settings(), NOW, key="ab" * 32)
    assert (plan.status.phase, plan.status.elastic) == ("Suspended", None)


SILENT = Launcher(silent_since=ago(40))
SILENT_AFTER_REPORT = Launcher(LauncherReport(2, 2), silent_since=ago(40))
ENDED = {"phase": "Failed", "ended": ago(20)}


@pytest.mark.parametrize(
    ("reason", "launcher", "pods", "seconds"),
    [
        ("it answers", Launcher(LauncherReport(2, 2)), [worker(0, **ENDED)], None),
        ("no worker exists", SILENT, [], None),
        ("a worker may still train", SILENT_AFTER_REPORT, [worker(0, **ENDED), worker(1)], None),
        ("all have ended", SILENT, [worker(0, **ENDED), worker(1, **ENDED)], 40),
        ("without a time", SILENT, [worker(0, phase="Failed")], 20),
        ("another one waits", SILENT_AFTER_REPORT, [worker(0, **ENDED), worker(1, created=ago(10))], 40),
        ("it could never be read", SILENT, [worker(0, **ENDED), worker(1, created=ago(10))], None),
    ],
)
def test_a_silent_launcher_is_lost_once_no_worker_is_left(
    reason: str, launcher: Launcher, pods: list[PodView], seconds: float | None
) -> None:
    assert seconds_to_lost_launcher(launcher, pods, NOW) == seconds, reason
