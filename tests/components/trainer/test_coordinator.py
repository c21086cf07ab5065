"""Results of runs: which failure is the cause, which worker is lost, when a run has succeeded."""

from datetime import datetime
from typing import Any

import pytest
from fairlead_contracts.termination import Failure
from fairlead_trainer.backends import BACKENDS
from fairlead_trainer.backends.base import Slot
from fairlead_trainer.coordinator import Coordinator, Rejected, Run
from fairlead_trainer.settings import Timing

SILENCE = 15.0
MODEL = {"uri": "file:///m", "digest": "sha256:" + "ab" * 32, "version": "v1"}


class Clock:
    """A clock that the test controls."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def run(clock: Clock) -> Coordinator:
    """Return a running job of three workers."""
    coordinator = Coordinator(Run(3, 1, 0), BACKENDS["horovod"], Timing(1, SILENCE, 5), clock)
    for worker in range(3):
        extra = {"slots": 1, "address": "127.0.0.1", "interface": "lo"}
        assert coordinator.register(identity(worker) | extra)["state"] == "wait"
    coordinator.start({worker: [Slot(worker, {})] for worker in range(3)})
    return coordinator


def identity(worker: int) -> dict[str, Any]:
    return {"worker": worker, "attempt": 0, "instance": f"agent-{worker}"}


def failure(worker: int, tail: str) -> Failure:
    return Failure(worker=worker, rank=worker, exit_code=1, reason="Exited", log_tail=tail)


def fail(coordinator: Coordinator, known: Failure) -> None:
    """Record a failure without the request, which waits for the result."""
    assert known.worker is not None
    coordinator._add_failure(known)
    coordinator._facts.failed = coordinator._clock()
    coordinator._facts.agents[known.worker].finished = True


def succeed(coordinator: Coordinator, worker: int, **extra: Any) -> None:
    """Report that all processes of a worker exited with 0."""
    coordinator.finish(identity(worker) | {"exitCodes": [0]} | extra)


def test_all_finished_is_success(run: Coordinator) -> None:
    for worker in range(3):
        assert not run.decide()
        succeed(run, worker, model=MODEL if worker == 0 else None)
    assert run.decide()
    assert (run.phase, run.model and run.model.to_json()) == ("Succeeded", MODEL)


def test_rank_0_learns_when_it_is_the_last(run: Coordinator) -> None:
    assert run.heartbeat(identity(0)) == {"state": "run", "othersFinished": False}
    succeed(run, 1)
    assert run.heartbeat(identity(0))["othersFinished"] is False
    succeed(run, 2)
    assert run.heartbeat(identity(0))["othersFinished"] is True


def test_a_root_cause_fails_the_run_at_once(run: Coordinator) -> None:
    fail(run, failure(1, "KeyError: 'x'"))
    assert run.decide()
    assert run.cause == failure(1, "KeyError: 'x'")
    assert run.heartbeat(identity(0))["state"] == "stop"


def test_a_consequence_waits_for_its_cause(run: Coordinator) -> None:
    fail(run, failure(0, "horovod.common.exceptions.HorovodInternalError: Connection closed by peer"))
    assert not run.decide()
    fail(run, failure(2, "exit"))
    assert run.decide()
    assert run.cause == failure(2, "exit")


def test_a_consequence_is_the_cause_if_all_other_workers_are_healthy(run: Coordinator, clock: Clock) -> None:
    consequence = failure(0, "HorovodInternalError")
    fail(run, consequence)
    for _ in range(6):
        clock.now += 1
        run.heartbeat(identity(1))
        run.heartbeat(identity(2))
        assert not run.decide()
    clock.now += 1
    assert run.decide()
    assert run.cause == consequence


def test_after_a_consequence_a_silent_worker_is_the_cause(run: Coordinator, clock: Clock) -> None:
    fail(run, failure(0, "HorovodInternalError"))
    clock.now += 5.5
    run.heartbeat(identity(2))
    assert run.decide()
    assert run.cause is not None
    assert (run.cause.worker, run.cause.reason) == (1, "LostWorker")


def test_a_worker_is_lost_after_the_silence_limit_and_not_before(run: Coordinator, clock: Clock) -> None:
    clock.now += SILENCE
    assert not run.decide()
    clock.now += 0.1
    for worker in (0, 2):
        run.heartbeat(identity(worker))
    assert run.decide()
    assert run.cause is not None
    assert (run.cause.worker, run.cause.reason) == (1, "LostWorker")


def test_a_finished_worker_may_be_silent(run: Coordinator, clock: Clock) -> None:
    succeed(run, 1)
    clock.now += SILENCE - 1
    run.heartbeat(identity(0))
    run.heartbeat(identity(2))
    clock.now += 2
    assert not run.decide()
    assert run.status()["workers"] == {"ready": 3, "desired": 3, "registered": 3}


@pytest.mark.parametrize("codes", [None, [], [0, 0], [1], ["0"], 0])
def test_an_end_without_a_failure_needs_the_exit_code_0_of_each_slot(run: Coordinator, codes: Any) -> None:
    with pytest.raises(Rejected, match=r"exitCodes: got .*, expected 0 for each of 1 slots"):
        run.finish(identity(1) | {"exitCodes": codes})
    succeed(run, 0)
    succeed(run, 2)
    assert not run.decide()


def test_a_worker_that_lost_the_launcher_is_no_success_and_blames_nobody(run: Coordinator) -> None:
    succeed(run, 0)
    succeed(run, 1)
    run.finish(identity(2) | {"stopped": "worker 2 stopped: no answer"})
    assert run.status()["workers"] == {"ready": 2, "desired": 3, "registered": 3}
    assert run.decide()
    assert run.cause == Failure(worker=None, reason="LostLauncher", log_tail="worker 2 stopped: no answer")


def test_a_failure_explains_more_than_a_lost_launcher(run: Coordinator) -> None:
    run.finish(identity(2) | {"stopped": "worker 2 stopped: no answer"})
    assert not run.decide()
    fail(run, failure(1, "exit"))
    assert run.decide()
    assert run.cause == failure(1, "exit")


def test_a_worker_that_is_silent_after_a_pause_of_the_launcher_is_not_blamed(run: Coordinator, clock: Clock) -> None:
    run.wait(0)
    clock.now += 24  # SIGSTOP, SIGCONT
    run.wait(0)
    assert not run.decide()
    run.heartbeat(identity(0))  # It was sent before the pause and read after it.
    clock.now += SILENCE + 1
    assert run.decide()
    assert run.cause is not None
    assert (run.cause.worker, run.cause.reason) == (None, "LostLauncher")


def test_a_worker_that_is_lost_long_after_a_pause_is_named(run: Coordinator, clock: Clock) -> None:
    run.wait(0)
    clock.now += 10
    run.wait(0)
    clock.now += 10
    for worker in range(3):
        run.heartbeat(identity(worker))
    clock.now += SILENCE + 1
    for worker in (0, 2):
        run.heartbeat(identity(worker))
    assert run.decide()
    assert run.cause is not None
    assert (run.cause.worker, run.cause.reason) == (1, "LostWorker")


def test_missing_workers_are_waited_for_until_a_deadline_that_the_first_registration_starts(clock: Clock) -> None:
    timing = Timing(1, SILENCE, 5, registration=600)
    coordinator = Coordinator(Run(20, 1, 0), BACKENDS["horovod"], timing, clock)
    clock.now += 86400  # Pods that wait for nodes have no deadline here.
    assert not coordinator.decide()
    waiting = coordinator.status()["waiting"]
    assert (waiting["workers"], waiting["until"]) == (list(range(16)), None)
    extra = {"slots": 1, "address": "127.0.0.1", "interface": "lo"}
    for _ in range(60):
        coordinator.register(identity(3) | extra)
        assert not coordinator.decide()
        clock.now += 10
    status = coordinator.status()
    assert (status["phase"], status["workers"]) == ("Waiting", {"ready": 1, "desired": 20, "registered": 1})
    assert datetime.fromisoformat(status["waiting"]["until"]) > datetime.fromisoformat(status["waiting"]["since"])
    clock.now += 1
    coordinator.register(identity(3) | extra)
    assert coordinator.decide()
    text = "worker 0 did not register within 600 s of the first worker (nor did 18 others)"
    assert coordinator.cause == Failure(worker=0, reason="NotRegistered", log_tail=text)


def test_a_worker_that_is_lost_before_all_have_registered_fails_the_job(clock: Clock) -> None:
    coordinator = Coordinator(Run(2, 1, 0), BACKENDS["horovod"], Timing(1, SILENCE, 5), clock)
    coordinator.register(identity(0) | {"slots": 1, "address": "127.0.0.1", "interface": "lo"})
    assert coordinator.missing() == [1]
    clock.now += SILENCE + 1
    assert coordinator.decide()
    assert coordinator.status()["phase"] == "Failed"


def test_progress_carries_an_eta(run: Coordinator, clock: Clock) -> None:
    assert run.status()["progress"] is None
    run.heartbeat(identity(0) | {"progress": {"step": 10, "totalSteps": 100, "metrics": {"loss": 0.5}}})
    assert "etaSeconds" not in run.status()["progress"]
    clock.now += 10
    run.heartbeat(identity(0) | {"progress": {"step": 30, "totalSteps": 100, "metrics": {"loss": 0.4}}})
    assert run.status()["progress"] == {"step": 30, "totalSteps": 100, "metrics": {"loss": 0.4}, "etaSeconds": 35}
    clock.now += 10
    run.heartbeat(identity(0) | {"progress": {"step": 30, "totalSteps": 100, "metrics": {}}})
    assert run.status()["progress"]["etaSeconds"] == 70


def test_invalid_progress_changes_nothing(run: Coordinator) -> None:
    useless: list[Any] = [None, [], "x", {}, {"step": -1}, {"step": 1.5}, {"step": True}]
    for progress in useless:
        run.heartbeat(identity(0) | {"progress": progress})
    assert run.status()["progress"] is None
