"""Runs: which failure is the cause, which worker is lost, when a run has succeeded, and what the status says."""

import threading
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from fairlead_contracts.launcher_status import MAX_DELAY, MAX_DELAYS
from fairlead_contracts.termination import Failure
from fairlead_trainer.backends import BACKENDS
from fairlead_trainer.backends.base import Slot
from fairlead_trainer.coordinator import Coordinator
from fairlead_trainer.events import Announce, Assign, Assigned, Prepare, Prepared, Tick
from fairlead_trainer.membership import Bounds, MemberId
from fairlead_trainer.settings import Timing
from fairlead_trainer.state import Rejected, Run

SILENCE = 15.0
MODEL = {"uri": "file:///m", "digest": "sha256:" + "ab" * 32, "version": "v1"}
ADDRESS = {"slots": 1, "address": "127.0.0.1", "interface": "lo"}


class Clock:
    """A clock that the test controls."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def build_run(workers: int, **timing: float) -> Run:
    return Run(workers, 1, 0, BACKENDS["horovod"], Timing(1, SILENCE, 5, **timing), Bounds.fixed(workers))


@pytest.fixture
def run(clock: Clock) -> Coordinator:
    """Return a running job of three workers."""
    coordinator = Coordinator(build_run(3), clock)
    for worker in range(3):
        assert coordinator.register(identity(worker) | ADDRESS)["state"] == "wait"
    order = coordinator.decide()
    assert order is not None
    assert [member.worker for member in order.members] == [0, 1, 2]
    coordinator.answer(Assigned(order.membership, {worker: [Slot(worker, {})] for worker in range(3)}))
    return coordinator


def identity(worker: int) -> dict[str, Any]:
    return {"worker": worker, "attempt": 0, "instance": f"agent-{worker}"}


def ended(coordinator: Coordinator) -> bool:
    """Let the launcher judge the run; return whether it has ended."""
    assert coordinator.decide() is None
    return coordinator.state.ended


def failure(worker: int, tail: str) -> Failure:
    return Failure(worker=worker, rank=worker, exit_code=1, reason="Exited", log_tail=tail)


def fail(coordinator: Coordinator, known: Failure) -> None:
    """Report a failure from a thread of its own: the request waits for the result."""
    assert known.worker is not None
    message = identity(known.worker) | {"failure": known.to_json()}
    before = len(coordinator.state.facts.failures)
    threading.Thread(target=coordinator.finish, args=(message,), daemon=True).start()
    while len(coordinator.state.facts.failures) == before:
        pass


def succeed(coordinator: Coordinator, worker: int, **extra: Any) -> None:
    """Report that all processes of a worker exited with 0."""
    coordinator.finish(identity(worker) | {"exitCodes": [0]} | extra)


def test_all_finished_is_success(run: Coordinator) -> None:
    for worker in range(3):
        assert not ended(run)
        succeed(run, worker, model=MODEL if worker == 0 else None)
    assert ended(run)
    assert (run.state.phase, run.state.model and run.state.model.to_json()) == ("Succeeded", MODEL)


def test_rank_0_learns_when_it_is_the_last(run: Coordinator) -> None:
    assert run.heartbeat(identity(0)) == {"state": "run"}
    ended = identity(0) | {"ended": True}
    assert run.heartbeat(ended) == {"state": "run", "first": True, "othersFinished": False, "allEnded": False}
    assert run.heartbeat(identity(1) | {"ended": True})["first"] is False
    succeed(run, 1)
    assert run.heartbeat(ended)["othersFinished"] is False
    succeed(run, 2)
    assert run.heartbeat(ended)["othersFinished"] is True


def test_a_root_cause_fails_the_run_at_once(run: Coordinator) -> None:
    fail(run, failure(1, "KeyError: 'x'"))
    assert ended(run)
    assert run.state.cause == failure(1, "KeyError: 'x'")
    assert run.heartbeat(identity(0))["state"] == "stop"


def test_a_consequence_waits_for_its_cause(run: Coordinator) -> None:
    fail(run, failure(0, "horovod.common.exceptions.HorovodInternalError: Connection closed by peer"))
    assert not ended(run)
    fail(run, failure(2, "exit"))
    assert ended(run)
    assert run.state.cause == failure(2, "exit")


def test_a_consequence_is_the_cause_if_all_other_workers_are_healthy(run: Coordinator, clock: Clock) -> None:
    consequence = failure(0, "HorovodInternalError")
    fail(run, consequence)
    for _ in range(6):
        clock.now += 1
        run.heartbeat(identity(1))
        run.heartbeat(identity(2))
        assert not ended(run)
    clock.now += 1
    assert ended(run)
    assert run.state.cause == consequence


def test_after_a_consequence_a_silent_worker_is_the_cause(run: Coordinator, clock: Clock) -> None:
    fail(run, failure(0, "HorovodInternalError"))
    clock.now += 5.5
    run.heartbeat(identity(2))
    assert ended(run)
    assert run.state.cause is not None
    assert (run.state.cause.worker, run.state.cause.reason) == (1, "LostWorker")


def test_a_worker_is_lost_after_the_silence_limit_and_not_before(run: Coordinator, clock: Clock) -> None:
    clock.now += SILENCE
    assert not ended(run)
    clock.now += 0.1
    for worker in (0, 2):
        run.heartbeat(identity(worker))
    assert ended(run)
    assert run.state.cause is not None
    assert (run.state.cause.worker, run.state.cause.reason) == (1, "LostWorker")


def test_a_finished_worker_may_be_silent(run: Coordinator, clock: Clock) -> None:
    succeed(run, 1)
    clock.now += SILENCE - 1
    run.heartbeat(identity(0))
    run.heartbeat(identity(2))
    clock.now += 2
    assert not ended(run)
    assert run.status()["workers"] == {"ready": 3, "desired": 3, "registered": 3}


@pytest.mark.parametrize("codes", [None, [], [0, 0], [1], ["0"], 0])
def test_an_end_without_a_failure_needs_the_exit_code_0_of_each_slot(run: Coordinator, codes: Any) -> None:
    with pytest.raises(Rejected, match=r"exitCodes: got .*, expected 0 for each of 1 slots"):
        run.finish(identity(1) | {"exitCodes": codes})
    succeed(run, 0)
    succeed(run, 2)
    assert not ended(run)


def test_a_worker_that_lost_the_launcher_is_no_success_and_blames_nobody(run: Coordinator) -> None:
    succeed(run, 0)
    succeed(run, 1)
    run.finish(identity(2) | {"stopped": "worker 2 stopped: no answer"})
    assert run.status()["workers"] == {"ready": 2, "desired": 3, "registered": 3}
    assert ended(run)
    assert run.state.cause == Failure(worker=None, reason="LostLauncher", log_tail="worker 2 stopped: no answer")


def test_a_failure_explains_more_than_a_lost_launcher(run: Coordinator) -> None:
    run.finish(identity(2) | {"stopped": "worker 2 stopped: no answer"})
    assert not ended(run)
    fail(run, failure(1, "exit"))
    assert ended(run)
    assert run.state.cause == failure(1, "exit")


def test_a_worker_that_is_silent_after_a_pause_of_the_launcher_is_not_blamed(run: Coordinator, clock: Clock) -> None:
    run.wait(0)
    clock.now += 24  # SIGSTOP, SIGCONT
    run.wait(0)
    assert not ended(run)
    run.heartbeat(identity(0))  # It was sent before the pause and read after it.
    clock.now += SILENCE + 1
    assert ended(run)
    assert run.state.cause is not None
    assert (run.state.cause.worker, run.state.cause.reason) == (None, "LostLauncher")


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
    assert ended(run)
    assert run.state.cause is not None
    assert (run.state.cause.worker, run.state.cause.reason) == (1, "LostWorker")


def test_missing_workers_are_waited_for_until_a_deadline_that_the_first_registration_starts(clock: Clock) -> None:
    coordinator = Coordinator(build_run(20, registration=600), clock)
    clock.now += 86400  # Pods that wait for nodes have no deadline here.
    assert not ended(coordinator)
    waiting = coordinator.status()["waiting"]
    assert (waiting["workers"], waiting["until"]) == (list(range(16)), None)
    for _ in range(60):
        coordinator.register(identity(3) | ADDRESS)
        assert not ended(coordinator)
        clock.now += 10
    status = coordinator.status()
    assert (status["phase"], status["workers"]) == ("Waiting", {"ready": 1, "desired": 20, "registered": 1})
    assert datetime.fromisoformat(status["waiting"]["until"]) > datetime.fromisoformat(status["waiting"]["since"])
    clock.now += 1
    coordinator.register(identity(3) | ADDRESS)
    assert ended(coordinator)
    text = "worker 0 did not register within 600 s of the first worker (nor did 18 others)"
    assert coordinator.state.cause == Failure(worker=0, reason="NotRegistered", log_tail=text)


def test_a_worker_that_is_lost_before_all_have_registered_fails_the_job(clock: Clock) -> None:
    coordinator = Coordinator(build_run(2), clock)
    coordinator.register(identity(0) | ADDRESS)
    assert coordinator.missing() == [1]
    clock.now += SILENCE + 1
    assert ended(coordinator)
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


def test_delays_are_listed_until_a_worker_registers_or_says_no_more(clock: Clock) -> None:
    run = Coordinator(build_run(2), clock)
    assert run.delay(identity(1) | {"activity": "fetching\tthe dataset"}) == {}
    assert run.status()["delays"] == [{"worker": 1, "activity": "fetching the dataset"}]
    run.register(identity(0) | ADDRESS)
    run.heartbeat(identity(0) | {"activity": "x" * 1000})
    assert [delay["worker"] for delay in run.status()["delays"]] == [0, 1]
    assert run.status()["delays"][0]["activity"] == "x" * MAX_DELAY
    clock.now += SILENCE + 1
    assert run.status()["delays"] == [{"worker": 0, "activity": "has sent no heartbeat for more than 5 s"}]
    run.delay(identity(1) | {"activity": "fetching"})
    run.register(identity(1) | ADDRESS)
    run.heartbeat(identity(0) | {"activity": None})
    assert run.status()["delays"] == []


def test_a_worker_that_is_silent_is_named_before_it_counts_as_lost(run: Coordinator, clock: Clock) -> None:
    clock.now += SILENCE / 3
    run.heartbeat(identity(0))
    run.heartbeat(identity(1) | {"activity": "publishing the model"})
    assert run.status()["delays"] == [{"worker": 1, "activity": "publishing the model"}]
    clock.now += 0.1
    silent = {"worker": 2, "activity": "has sent no heartbeat for more than 5 s"}
    assert run.status()["delays"] == [{"worker": 1, "activity": "publishing the model"}, silent]
    assert not ended(run)
    run.heartbeat(identity(2))
    assert [delay["worker"] for delay in run.status()["delays"]] == [1]


def test_a_worker_of_a_large_job_is_silent_only_after_several_heartbeats(clock: Clock) -> None:
    run = Coordinator(replace(build_run(1), timing=Timing(5, SILENCE, 5)), clock)
    run.register(identity(0) | ADDRESS)
    clock.now += 12.5
    assert run.status()["delays"] == []
    clock.now += 0.1
    assert run.status()["delays"] == [{"worker": 0, "activity": "has sent no heartbeat for more than 12.5 s"}]


def test_delays_are_those_of_the_first_workers_and_only_of_the_runs_own(clock: Clock) -> None:
    run = Coordinator(build_run(9), clock)
    for worker in reversed(range(9)):
        run.delay(identity(worker) | {"activity": f"fetching {worker}"})
    assert [delay["worker"] for delay in run.status()["delays"]] == list(range(MAX_DELAYS))
    with pytest.raises(Rejected, match="worker: got 9"):
        run.delay(identity(9) | {"activity": "fetching"})
    with pytest.raises(Rejected, match="activity: got 7, expected a text"):
        run.delay(identity(0) | {"activity": 7})


def test_invalid_progress_changes_nothing(run: Coordinator) -> None:
    useless: list[Any] = [None, [], "x", {}, {"step": -1}, {"step": 1.5}, {"step": True}]
    for progress in useless:
        run.heartbeat(identity(0) | {"progress": progress})
    assert run.status()["progress"] is None


def test_each_membership_is_assigned_once_and_an_outdated_assignment_starts_nothing(clock: Clock) -> None:
    coordinator = Coordinator(build_run(2), clock)
    for worker in (1, 0):
        coordinator.register(identity(worker) | ADDRESS)
    order = coordinator.decide()
    assert order is not None
    assert coordinator.decide() is None
    slots = {worker: [Slot(worker, {})] for worker in range(2)}
    coordinator.answer(Assigned(replace(order.membership, epoch=7), slots))
    assert coordinator.register(identity(0) | ADDRESS)["state"] == "wait"
    coordinator.answer(Assigned(order.membership, slots))
    place = {"state": "run", "epoch": 0, "slots": [{"rank": 1, "environment": {}}]}
    assert coordinator.register(identity(1) | ADDRESS) == place


def test_a_second_agent_of_a_worker_is_rejected(run: Coordinator) -> None:
    other = identity(1) | {"instance": "another"}
    for request, message in ((run.register, other | ADDRESS), (run.heartbeat, other)):
        with pytest.raises(Rejected, match="worker 1 is registered by another agent"):
            request(message)
    with pytest.raises(Rejected, match="worker 1 is registered by another agent"):
        run.finish(other | {"stopped": "gone"})
    assert not ended(run)


def test_the_report_of_a_failure_is_answered_once_the_run_has_failed(run: Coordinator) -> None:
    answers: list[dict[str, Any]] = []
    consequence = identity(0) | {"failure": failure(0, "HorovodInternalError").to_json()}
    waiting = threading.Thread(target=lambda: answers.append(run.finish(consequence)))
    waiting.start()
    cause = run.finish(identity(2) | {"failure": failure(2, "exit").to_json()})
    waiting.join()
    assert (cause, answers) == ({"state": "stop", "cause": True}, [{"state": "stop", "cause": False}])


@pytest.fixture
def elastic(clock: Clock) -> Coordinator:
    """Return a running job of two workers, which may have three, and a third one that waits."""
    bounds = Bounds(1, 3, settle=5, patience=600)
    coordinator = Coordinator(Run(2, 1, 0, BACKENDS["horovod"], Timing(1, SILENCE, 5), bounds), clock)
    for worker in range(2):
        start(coordinator, worker, -1)
    order = coordinator.decide()
    assert isinstance(order, Assign)
    coordinator.answer(Assigned(order.membership, {worker: [Slot(worker, {})] for worker in range(2)}))
    start(coordinator, 2, 0)
    return coordinator


def start(coordinator: Coordinator, worker: int, epoch: int) -> None:
    """Register a worker, and let its processes start and wait for a place."""
    id_ = MemberId(worker, f"agent-{worker}")
    assert coordinator.register(identity(worker) | ADDRESS)["state"] == "wait"
    order = coordinator.decide()
    assert isinstance(order, Prepare)
    coordinator.answer(Prepared(id_, [Slot(worker, {"HOROVOD_RANK": "-1"})]))
    slots = [{"rank": worker, "environment": {"HOROVOD_RANK": "-1"}}]
    place = {"state": "run", "epoch": None if epoch < 0 else epoch, "slots": slots}
    assert coordinator.register(identity(worker) | ADDRESS) == place
    coordinator.arrived(id_, epoch, True)


def test_a_newcomer_that_leaves_is_told_to_stop_and_a_member_is_not(elastic: Coordinator) -> None:
    assert elastic.heartbeat(identity(2))["state"] == "run"
    assert elastic.heartbeat(identity(2) | {"leaving": True}) == {"state": "stop"}
    assert elastic.heartbeat(identity(1) | {"leaving": True})["state"] == "run"


def test_an_announcement_does_not_keep_a_newcomer_from_starting(elastic: Coordinator, clock: Clock) -> None:
    clock.now += 6
    elastic.heartbeat(identity(2))
    with elastic._changed:
        elastic._step(Tick())
    assert elastic.register({"worker": 2, "attempt": 0, "instance": "another"} | ADDRESS)["state"] == "wait"
    assert {type(elastic.decide()), type(elastic.decide())} == {Announce, Prepare}


def test_one_announcement_at_most_is_pending_and_none_once_the_next_epoch_begins(
    elastic: Coordinator, clock: Clock
) -> None:
    for _ in range(8):
        clock.now += 1
        with elastic._changed:
            elastic._step(Tick())
    assert [type(order) for order in elastic._orders] == [Announce]
    for worker in range(2):
        elastic.arrived(MemberId(worker, f"agent-{worker}"), 0, True)
    assert [type(order) for order in elastic._orders] == [Assign]
    assert elastic.status()["elastic"] == {
        "epoch": 1, "workers": 3, "lostWorkers": 0, "lostSteps": 0, "reason": "WorkersJoined",
    }  # fmt: skip


def test_workers_that_the_run_has_ended_without_are_told_to_stop(elastic: Coordinator) -> None:
    for worker in range(2):
        succeed(elastic, worker)
    assert elastic.state.phase == "Succeeded"
    assert elastic.register(identity(2) | ADDRESS) == {"state": "stop"}
    assert elastic.register(identity(1) | ADDRESS)["state"] == "run"
    assert not elastic.quiet()
    elastic.finish(identity(2) | {"stopped": "the run has ended"})
    assert elastic.quiet()


def test_a_worker_of_an_elastic_run_that_failed_after_another_one_is_not_to_blame(elastic: Coordinator) -> None:
    consequence = elastic.finish(identity(0) | {"failure": failure(0, "HorovodInternalError").to_json()})
    own = elastic.finish(identity(1) | {"failure": failure(1, "exit").to_json()})
    assert (consequence["cause"], own["cause"]) == (False, True)


def test_an_elastic_run_that_has_begun_waits_for_nobody(elastic: Coordinator) -> None:
    elastic.finish(identity(1) | {"failure": failure(1, "exit")})
    status = elastic.status()
    assert (status["phase"], status["waiting"], status["workers"]["desired"]) == ("Running", None, 2)


@pytest.fixture
def restarting(clock: Clock) -> Coordinator:
    """Return a running elastic torchrun job of two workers."""
    bounds = Bounds(1, 2, settle=5, patience=600)
    coordinator = Coordinator(Run(2, 1, 0, BACKENDS["torchrun"], Timing(1, SILENCE, 5), bounds), clock)
    for worker in range(2):
        coordinator.register(identity(worker) | ADDRESS)
    assign(coordinator)
    return coordinator


def assign(coordinator: Coordinator) -> None:
    order = coordinator.decide()
    assert isinstance(order, Assign)
    slots = {member.worker: [Slot(rank, {})] for rank, member in enumerate(order.members)}
    coordinator.answer(Assigned(order.membership, slots))


def test_a_lost_worker_is_named_with_the_cause_until_another_one_trains_in_its_place(restarting: Coordinator) -> None:
    known = Failure(worker=1, rank=1, exit_code=137, signal=9, reason="Killed", log_tail="step 7\nout of\tmemory\n")
    restarting.leave(identity(0) | {"epoch": 0, "port": 4711})
    restarting.finish(identity(1) | {"failure": known.to_json()})
    text = "was lost and does not train yet (Killed by SIGKILL): out of memory"
    assert restarting.status()["delays"] == [{"worker": 1, "activity": text}]
    assign(restarting)
    successor = identity(1) | {"instance": "successor"}
    restarting.register(successor | ADDRESS)
    assert restarting.status()["delays"] == [{"worker": 1, "activity": text}]
    restarting.heartbeat(successor | {"activity": "fetching the dataset"})
    assert restarting.status()["delays"] == [{"worker": 1, "activity": "fetching the dataset"}]
    restarting.heartbeat(successor)
    restarting.decide()
    restarting.leave(identity(0) | {"epoch": 1, "port": 4711})
    assign(restarting)
    assert [member.worker for member in restarting.state.members] == [0, 1]
    assert restarting.status()["delays"] == []


def test_agents_learn_by_their_heartbeats_that_an_epoch_has_ended_and_get_their_place_in_the_next(
    restarting: Coordinator,
) -> None:
    assert "leave" not in restarting.heartbeat(identity(1) | {"epoch": 0})
    restarting.finish(identity(0) | {"stopped": "stopped by a signal"})
    assert restarting.heartbeat(identity(1) | {"epoch": 0})["leave"] == 0
    left = identity(1) | {"epoch": 0, "port": 4711}
    assert restarting.leave(left) == {"state": "wait", "epoch": 1}  # its processes are not assigned yet
    assign(restarting)
    assert restarting.leave(left) == {"state": "run", "epoch": 1, "slots": [{"rank": 0, "environment": {}}]}
    assert "leave" not in restarting.heartbeat(identity(1) | {"epoch": 1})


def test_a_heartbeat_of_an_earlier_epoch_learns_nothing_of_the_end(restarting: Coordinator) -> None:
    assert restarting.heartbeat(identity(0) | {"epoch": 0, "ended": True})["allEnded"] is False
    assert restarting.heartbeat(identity(1) | {"epoch": 0, "ended": True})["allEnded"] is True
    assert "allEnded" not in restarting.heartbeat(identity(1) | {"epoch": 7, "ended": True})


@pytest.mark.parametrize(
    ("field", "value"),
    [("epoch", -1), ("epoch", "0"), ("epoch", 1 << 53), ("epoch", True), ("port", 65536), ("port", None)],
)
def test_what_a_departure_says_is_checked(restarting: Coordinator, field: str, value: object) -> None:
    with pytest.raises(Rejected, match=f"{field}: got"):
        restarting.leave(identity(0) | {"epoch": 0, "port": 4711, field: value})
