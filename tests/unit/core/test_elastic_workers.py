"""When the workers of an elastic job are replaced, and when their launcher counts as lost."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fairlead.api.training_job import MAX_REPLACED, TrainingJob
from fairlead.core.settings import Settings
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
    assert len(plan.delete) == 100
    assert len(plan.events) == MAX_REPLACED


def test_a_worker_that_is_being_deleted_is_not_replaced_twice() -> None:
    plan = plan_workers(job(), (worker(0), worker(1, phase="Failed", deleting=True)), Settings(), NOW)
    assert (plan.failed, plan.create, plan.replaced) == ((), (), ())


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
