"""Simulated runs of a TrainingJob: whatever its pods do, it finishes within its limits and then does not change."""

import json
import random
from collections.abc import Iterable
from dataclasses import replace

import pytest
from fairlead.core import names
from fairlead.core.conditions import is_true
from fairlead.core.views import PodView

from tests.support.resources import make_job
from tests.support.simulated import SimulatedCluster

WORKERS, LIMIT, DISRUPTIONS = 3, 2, 6
POLICY = {"backoffLimit": LIMIT, "disruptionLimit": DISRUPTIONS}
SEEDS = range(60)


def simulate(
    seed: int, failures: float, lose_status: float = 0.0, evictions: float = 0.0, never_register: Iterable[int] = ()
) -> SimulatedCluster:
    """Run a job until it finishes; each worker fails with probability `failures` when it could finish.

    Workers in `never_register` exit with 0 before they reach the launcher.
    """

    def live(pod: PodView, cluster: SimulatedCluster) -> PodView | None:
        if pod.phase == "Pending":
            return replace(pod, phase="Running")
        if pod.phase != "Running":
            return pod
        if cluster.random.random() < evictions:
            return None
        if pod.role == names.LAUNCHER:
            return end_launcher(pod, cluster)
        if not registered(cluster) and pod.index not in cluster.never_register:
            return pod
        if cluster.random.random() < failures:
            failure = {"worker": pod.index, "rank": pod.index, "exitCode": 3, "reason": "Exited", "logTail": "no"}
            message = json.dumps({"failure": failure})
            return replace(pod, phase="Failed", exit_code=3, termination_message=message)
        return replace(pod, phase="Succeeded", exit_code=0)

    job = make_job(spec__workers__replicas=WORKERS, spec__runPolicy=POLICY)
    chance, absent = random.Random(seed), frozenset(never_register)
    cluster = SimulatedCluster(job, live, chance, lose_status=lose_status, never_register=absent)
    cluster.run_until_quiet()
    return cluster


def registered(cluster: SimulatedCluster) -> bool:
    report = cluster.read_launcher().report
    return report is not None and report.complete


def end_launcher(pod: PodView, cluster: SimulatedCluster) -> PodView:
    """The launcher exits when all workers of its attempt have, with the same result."""
    workers = [p for p in cluster.pods.values() if p.role == names.WORKER and p.attempt == pod.attempt]
    if any(worker.phase == "Failed" for worker in workers):
        return replace(pod, phase="Failed", exit_code=1)
    if registered(cluster) and len(workers) == WORKERS and all(worker.phase == "Succeeded" for worker in workers):
        return replace(pod, phase="Succeeded", exit_code=0, termination_message=json.dumps({"model": None}))
    return pod


@pytest.mark.parametrize("seed", SEEDS)
def test_run_without_failures_succeeds_with_three_status_writes(seed: int) -> None:
    cluster = simulate(seed, failures=0)
    assert is_true(cluster.job.status.conditions, "Succeeded")
    assert cluster.job.status.workers.restarts == 0
    # created, running (unless it finished before the next reconcile), succeeded
    assert 2 <= cluster.status_writes <= 3


@pytest.mark.parametrize("seed", SEEDS)
def test_failing_workers_end_the_job_within_its_limits(seed: int) -> None:
    cluster = simulate(seed, failures=0.4, evictions=0.02)
    status = cluster.job.status
    assert is_true(status.conditions, "Succeeded") != is_true(status.conditions, "Failed")
    assert status.workers.failures <= LIMIT
    assert cluster.most_pods <= WORKERS + 1
    if is_true(status.conditions, "Failed"):
        assert status.workers.failures == LIMIT


@pytest.mark.parametrize("seed", SEEDS)
def test_disruptions_alone_fail_a_job_at_their_own_limit(seed: int) -> None:
    status = simulate(seed, failures=0, evictions=0.4).job.status
    assert status.workers.failures == 0
    if is_true(status.conditions, "Failed"):
        assert status.workers.disruptions == DISRUPTIONS
        failed = next(condition for condition in status.conditions if condition.type == "Failed")
        assert failed.reason == "DisruptionLimitExceeded"


@pytest.mark.parametrize("seed", SEEDS)
def test_attempts_are_apart_by_a_backoff_that_doubles(seed: int) -> None:
    starts = simulate(seed, failures=1.0).first_pods
    assert sorted(starts) == [0, 1, 2]
    for attempt, least in ((1, 9), (2, 19)):
        assert (starts[attempt] - starts[attempt - 1]).total_seconds() >= least


@pytest.mark.parametrize("absent", [(1,), tuple(range(WORKERS))], ids=["one", "all"])
@pytest.mark.parametrize("seed", range(10))
def test_workers_that_exit_before_they_register_end_the_job_within_its_limits(
    seed: int, absent: tuple[int, ...]
) -> None:
    status = simulate(seed, failures=0, never_register=absent).job.status
    failed = next(condition for condition in status.conditions if condition.type == "Failed")
    assert (failed.status, failed.reason) == ("True", "WorkerNotRegistered")
    assert status.workers.restarts == LIMIT


@pytest.mark.parametrize("seed", SEEDS)
def test_operator_that_crashes_before_its_status_writes_reaches_the_same_state(seed: int) -> None:
    cluster = simulate(seed, failures=0, lose_status=0.3)
    status = cluster.job.status
    assert is_true(status.conditions, "Succeeded")
    assert is_true(status.conditions, "Created")
    assert status.start_time is not None
    assert cluster.most_pods <= WORKERS + 1


@pytest.mark.parametrize("seed", range(10))
def test_a_finished_job_does_not_change(seed: int) -> None:
    cluster = simulate(seed, failures=0.3)
    before = cluster.job.status
    plan = cluster.reconcile()
    assert (plan.apply, plan.delete, plan.events, plan.requeue_after) == ((), (), (), None)
    assert plan.status == before
