"""The rules of elastic runs: who trains next, who counts as lost, and when the run has a result."""

from dataclasses import dataclass, field

import pytest
from fairlead_contracts.progress import ProgressReport
from fairlead_contracts.termination import Failure
from fairlead_trainer.backends import BACKENDS
from fairlead_trainer.backends.base import Member, Slot
from fairlead_trainer.events import (
    Announce,
    Arrived,
    Assign,
    Assigned,
    Beat,
    Event,
    Finished,
    Gone,
    Left,
    Prepare,
    Prepared,
    Registered,
    Tick,
)
from fairlead_trainer.membership import Bounds, MemberId
from fairlead_trainer.run import step
from fairlead_trainer.settings import Timing
from fairlead_trainer.state import Rejected, Run, State, begin

SILENCE, SILENCE_AFTER_FAILURE, LEAVE = 15.0, 5.0, 30.0


def build_run(workers: int = 3, least: int = 2, most: int = 4, cooldown: float = 0, backend: str = "horovod") -> Run:
    bounds = Bounds(least, most, settle=5, cooldown=cooldown, patience=600)
    timing = Timing(1, SILENCE, 5, registration=600, leave=LEAVE)
    return Run(workers, 1, 0, BACKENDS[backend], timing, bounds)


@dataclass
class Life:
    """A run and the processes of its workers."""

    run: Run
    now: float = 1000.0
    agents: dict[int, str] = field(default_factory=dict)
    state: State = field(init=False)
    epochs: list[list[int]] = field(default_factory=list)
    started: int = 0

    def __post_init__(self) -> None:
        self.state = begin(self.run, self.now)

    def do(self, event: Event) -> None:
        self.state, orders = step(self.run, self.state, event, self.now)
        for order in orders:
            if isinstance(order, Assign):
                self.epochs.append([member.worker for member in order.membership.members])
                slots = {member.worker: [Slot(rank, {})] for rank, member in enumerate(order.members)}
                self.do(Assigned(order.membership, slots))
            if isinstance(order, Prepare):
                id_ = MemberId(order.member.worker, order.member.instance)
                self.do(Prepared(id_, [Slot(order.member.worker, {})]))

    def add(self, worker: int, *, ready: bool = True) -> None:
        """Add a worker; if the processes of the framework start before their epoch, they are ready unless told not."""
        self.started += 1
        self.agents[worker] = f"agent-{self.started}"
        member = Member(worker, f"10.0.0.{self.started}", "eth0", 1, "", instance=self.agents[worker])
        self.do(Registered(self.id(worker), member))
        if ready and not self.run.backend.restarts:
            self.wait_for_place(worker)

    def id(self, worker: int) -> MemberId:
        return MemberId(worker, self.agents[worker])

    def wait_for_place(self, worker: int) -> None:
        """Let the processes of a new worker ask for a place."""
        self.do(Arrived(self.id(worker), self.state.membership.epoch if self.state.membership else -1, complete=True))

    def pass_time(self, seconds: float, *leaving: int) -> None:
        """Let the agents send heartbeats and the launcher look."""
        for _ in range(max(1, round(seconds))):
            self.now += seconds / max(1, round(seconds))
            for worker in list(self.agents):
                try:
                    self.do(Beat(self.id(worker), leaving=worker in leaving))
                except Rejected:
                    del self.agents[worker]  # an agent that is told that it is lost stops
            self.do(Tick())

    def stop(self, *workers: int, text: str | None = None, code: int = 1, epoch: int | None = None) -> None:
        """Let agents say that they have stopped their processes, or that they failed and said this at last."""
        assert self.state.membership is not None
        epoch = self.state.membership.epoch if epoch is None else epoch
        for worker in workers:
            failure = None
            if text is not None:
                failure = Failure(worker=worker, exit_code=code, reason="Exited", log_tail=text)
            self.do(Left(self.id(worker), epoch, 5000 + worker, failure))

    def leave_epoch(self, *workers: int, complete: bool = True) -> None:
        assert self.state.membership is not None
        for worker in workers:
            self.do(Arrived(self.id(worker), self.state.membership.epoch, complete))

    def fail(self, worker: int, text: str = "x") -> None:
        failure = Failure(worker=worker, exit_code=3, reason="Exited", log_tail=text)
        self.do(Finished(self.id(worker), failure=failure))
        del self.agents[worker]

    def kill(self, worker: int) -> None:
        """Lose a worker that nobody reports."""
        del self.agents[worker]

    def succeed(self, worker: int) -> None:
        self.do(Finished(self.id(worker), codes=[0]))


@pytest.fixture
def life() -> Life:
    """Return a run of two to four workers that trains with three."""
    life = Life(build_run())
    for worker in range(3):
        life.add(worker)
    assert life.epochs == [[0, 1, 2]]
    return life


def test_a_failed_worker_is_left_out_once_the_others_have_left_their_epoch(life: Life) -> None:
    life.fail(1)
    life.leave_epoch(0)
    assert life.epochs == [[0, 1, 2]]
    life.leave_epoch(2)
    assert life.epochs[1:] == [[0, 2]]
    assert (life.state.phase, life.state.elastic.lost_workers) == ("Running", 1)


def test_a_silent_worker_is_lost(life: Life) -> None:
    life.kill(0)
    life.pass_time(SILENCE - 1)
    assert len(life.state.facts.agents) == 3
    life.pass_time(2)
    life.leave_epoch(1, 2)
    assert life.epochs[1:] == [[1, 2]]


def test_a_worker_that_others_seem_to_have_lost_is_lost_after_a_shorter_silence() -> None:
    life = Life(build_run(least=3))
    for worker in range(3):
        life.add(worker)
    life.kill(0)
    life.leave_epoch(1, 2)
    life.pass_time(SILENCE_AFTER_FAILURE - 1)
    assert len(life.state.facts.agents) == 3
    life.pass_time(2)
    assert sorted(life.state.facts.agents) == [1, 2]


def test_a_worker_that_is_started_again_is_not_waited_for_in_silence(life: Life) -> None:
    life.add(1)
    life.leave_epoch(0, 2)
    assert life.epochs[1:] == [[0, 2, 1]]


def test_a_worker_that_hangs_is_not_waited_for_without_end(life: Life) -> None:
    life.fail(1)
    life.leave_epoch(0)
    life.pass_time(LEAVE - 1)
    assert 2 in life.state.facts.agents
    life.pass_time(2)
    with pytest.raises(Rejected):
        life.do(Beat(MemberId(2, "agent-3")))  # so that its agent stops its processes
    life.add(1)
    assert life.epochs[1:] == [[0, 1]]


def test_one_process_of_a_worker_that_waits_while_another_does_not_is_not_waited_for_without_end(life: Life) -> None:
    life.leave_epoch(0)
    life.leave_epoch(2, complete=False)
    life.pass_time(LEAVE - 1)
    assert len(life.epochs) == 1
    life.add(1)
    life.pass_time(2)
    assert life.epochs[1:] == [[0, 1]]


def test_if_enough_have_left_their_epoch_they_go_on_and_one_that_is_late_joins_them_when_it_leaves(life: Life) -> None:
    life.add(3)
    life.pass_time(6)
    life.leave_epoch(0, 1, 2)
    assert life.epochs[1:] == [[0, 1, 2, 3]]
    life.fail(0)
    life.leave_epoch(1, 3)
    life.pass_time(1)
    assert len(life.epochs) == 2
    life.pass_time(2)
    assert life.epochs[2:] == [[1, 3]]
    assert (life.state.elastic.reason, life.state.elastic.lost_workers) == ("WorkersLost", 1)
    life.pass_time(LEAVE)
    assert life.state.elastic.announced is None  # it cannot join yet
    life.do(Arrived(life.id(2), 1, complete=True))
    life.leave_epoch(1, 3)
    assert life.epochs[3:] == [[1, 3, 2]]
    assert (life.state.elastic.reason, life.state.elastic.lost_workers) == ("WorkersJoined", 1)
    assert (life.state.elastic.late, life.state.elastic.ready) == ({}, {})


def test_a_late_worker_has_the_time_of_the_frameworks_own_limit(life: Life) -> None:
    life.leave_epoch(0, 1)
    life.pass_time(3)
    assert life.epochs[1:] == [[0, 1]]
    life.pass_time(life.run.backend.notice_seconds + LEAVE - 2)
    assert 2 in life.state.facts.agents
    life.pass_time(3)
    assert 2 not in life.state.facts.agents
    assert life.state.elastic.lost_workers == 1


def test_a_dead_worker_that_was_late_is_a_loss_and_ends_no_epoch(life: Life) -> None:
    life.kill(2)
    life.leave_epoch(0, 1)
    life.pass_time(3)
    assert life.epochs[1:] == [[0, 1]]
    life.add(2)
    assert (life.state.elastic.lost_workers, life.state.elastic.lost_since) == (1, None)
    life.pass_time(6)
    life.leave_epoch(0, 1)
    assert life.epochs[2:] == [[0, 1, 2]]


def test_those_that_should_leave_do_not_hand_their_epoch_to_newcomers_while_others_are_late() -> None:
    life = Life(build_run(workers=2, least=1))
    life.add(0)
    life.add(1)
    life.pass_time(1, 0)
    life.kill(1)
    life.add(2)
    life.leave_epoch(0)
    life.now += 3
    life.do(Beat(life.id(0), leaving=True))
    life.do(Tick())
    assert life.epochs == [[0, 1]]


def test_workers_that_leave_after_their_next_commit_are_all_waited_for(life: Life) -> None:
    life.add(3)
    life.pass_time(6)
    assert life.state.elastic.announced is not None
    life.leave_epoch(0, 1)
    life.pass_time(5)
    assert len(life.epochs) == 1


def test_survivors_that_all_hang_are_lost_one_at_a_time_until_another_one_notices(life: Life) -> None:
    life.fail(1)
    life.pass_time(LEAVE - 1)
    assert sorted(life.state.facts.agents) == [0, 2]
    life.pass_time(2)
    assert sorted(life.state.facts.agents) == [0]
    life.leave_epoch(0)
    life.add(2)
    assert life.epochs[1:] == [[0, 2]]


def test_the_last_survivor_that_hangs_has_the_time_of_the_frameworks_own_limit(life: Life) -> None:
    life.fail(1)
    life.pass_time(LEAVE + 1)
    life.pass_time(life.run.backend.notice_seconds + LEAVE - 1)
    assert not life.state.ended
    life.pass_time(2)
    assert life.state.phase == "Failed"
    assert life.state.cause is not None
    assert (life.state.cause.worker, life.state.cause.reason) == (1, "Exited")


def test_what_a_lost_worker_or_an_earlier_epoch_says_is_ignored(life: Life) -> None:
    lost = life.id(1)
    life.leave_epoch(0, 1, 2)
    assert len(life.epochs) == 2
    for worker in range(3):
        life.do(Arrived(life.id(worker), 0, complete=True))
    life.add(1)
    life.do(Arrived(lost, 1, complete=True))
    life.do(Arrived(life.id(1), 1, complete=True))  # a member of no epoch yet
    assert (life.state.elastic.arrived, len(life.epochs)) == (frozenset(), 2)


def test_a_newcomer_is_announced_again_and_again_with_one_time_until_the_processes_come(life: Life) -> None:
    life.add(3)
    first = life.state.elastic.announced
    assert first is not None
    _, (order,) = step(life.run, life.state, Tick(), life.now + 1)
    assert isinstance(order, Announce)
    assert ([member.worker for member in order.members], order.since, order.again) == ([0, 1, 2], first.since, True)
    assert step(life.run, life.state, Tick(), life.now + 0.5)[1] == ()
    life.leave_epoch(0, 1)
    life.pass_time(3)
    assert len(life.epochs) == 1
    life.leave_epoch(2)
    assert life.epochs[1:] == [[0, 1, 2, 3]]
    assert (life.state.elastic.announced, life.state.elastic.reason) == (None, "WorkersJoined")


def test_a_worker_that_leaves_is_no_loss(life: Life) -> None:
    life.pass_time(1, 2)
    life.leave_epoch(0, 1, 2)
    assert life.epochs[1:] == [[0, 1]]
    life.do(Finished(life.id(2), stopped="stopped by a signal"))
    elastic = life.state.elastic
    assert (life.state.phase, elastic.lost_workers, elastic.failed, elastic.reason) == ("Running", 0, {}, "WorkersLeft")


def test_a_worker_that_should_leave_and_ends_with_0_belongs_to_the_success(life: Life) -> None:
    life.pass_time(1, 2)
    for worker in range(3):
        life.succeed(worker)
    assert life.state.phase == "Succeeded"


def test_a_worker_that_has_left_and_ends_with_0_is_neither_a_failure_nor_a_success_of_the_run(life: Life) -> None:
    life.pass_time(1, 2)
    life.leave_epoch(0, 1, 2)
    life.succeed(2)
    assert (life.state.phase, life.epochs[1:]) == ("Running", [[0, 1]])
    life.add(2)  # its pod is created again
    life.pass_time(6)
    life.leave_epoch(0, 1)
    assert life.epochs[2:] == [[0, 1, 2]]
    for worker in range(3):
        life.succeed(worker)
    assert life.state.phase == "Succeeded"


def test_another_pod_of_a_worker_that_has_succeeded_takes_nothing_back(life: Life) -> None:
    life.succeed(2)
    with pytest.raises(Rejected):
        life.add(2)
    life.succeed(0)
    life.succeed(1)
    assert life.state.phase == "Succeeded"


@pytest.mark.parametrize("together", [False, True])
def test_if_all_who_have_the_state_should_leave_none_is_told_to_and_no_epoch_of_newcomers_begins(
    together: bool,
) -> None:
    life = Life(build_run(workers=1, least=1))
    life.add(0)
    life.pass_time(6)
    life.pass_time(1, 0)
    life.add(1)
    assert life.state.elastic.announced is None
    if together:
        life.leave_epoch(0)  # by an error of the framework
    else:
        life.do(Finished(life.id(0), stopped="stopped by a signal"))
    assert (life.state.phase, life.epochs) == ("Failed", [[0]])


def test_only_a_worker_that_failed_by_itself_is_left_out_for_a_while() -> None:
    life = Life(build_run(cooldown=60))
    for worker in range(4):
        life.add(worker)
    assert life.epochs == [[0, 1, 2]]
    life.add(2)  # its pod was deleted and created again
    life.fail(1, "HorovodInternalError: Connection closed by peer")
    life.leave_epoch(0)
    assert life.epochs[1:] == [[0, 2, 3]]
    life.add(1)
    life.pass_time(1)
    life.leave_epoch(0, 2, 3)
    assert life.epochs[2:] == [[0, 2, 3, 1]]
    life.fail(1)
    life.leave_epoch(0, 2, 3)
    life.add(1)
    life.pass_time(58)
    assert life.state.elastic.announced is None
    life.pass_time(3)
    assert life.state.elastic.announced is not None


def test_below_the_minimum_the_job_waits_and_then_fails_with_the_cause(life: Life) -> None:
    life.fail(1)
    life.fail(2)
    life.leave_epoch(0)
    assert len(life.epochs) == 1
    life.pass_time(590)
    assert life.state.phase == "Running"
    life.pass_time(20)
    assert life.state.phase == "Failed"
    assert life.state.cause is not None
    assert (life.state.cause.worker, life.state.cause.reason) == (2, "Exited")


def test_a_run_whose_workers_fail_before_they_register_does_not_wait_for_ever() -> None:
    life = Life(build_run())
    failure = Failure(worker=1, exit_code=1, reason="InvalidDataset", log_tail="no such dataset")
    life.do(Finished(MemberId(1, "agent"), failure=failure))
    life.pass_time(599)
    assert life.state.phase == "Waiting"
    life.pass_time(2)
    assert (life.state.phase, life.state.cause) == ("Failed", failure)


def test_a_successor_ends_the_wait(life: Life) -> None:
    life.fail(1)
    life.fail(2)
    life.leave_epoch(0)
    life.pass_time(100)
    life.add(1)
    assert life.epochs[1:] == [[0, 1]]
    assert life.state.elastic.short_since is None


def test_without_a_survivor_the_run_fails_at_once(life: Life) -> None:
    for worker in (0, 1, 2):
        life.fail(worker)
    assert life.state.phase == "Failed"


def test_if_all_leave_for_another_reason_the_same_workers_begin_again(life: Life) -> None:
    life.leave_epoch(0, 1, 2)
    assert life.epochs[1:] == [[0, 1, 2]]
    assert life.state.membership is not None
    assert life.state.membership.epoch == 1


def test_success_needs_every_member_and_no_one_joins_meanwhile(life: Life) -> None:
    life.succeed(0)
    life.add(3)
    life.pass_time(30)
    life.succeed(1)
    assert life.state.phase == "Running"
    life.succeed(2)
    assert (life.state.phase, len(life.epochs)) == ("Succeeded", 1)


def test_a_failure_after_the_first_success_fails_the_run(life: Life) -> None:
    life.succeed(0)
    life.fail(1)
    assert life.state.phase == "Failed"
    assert life.state.cause is not None
    assert life.state.cause.worker == 1


def test_repeated_steps_are_those_that_the_processes_count_whoever_holds_rank_0(life: Life) -> None:
    def report(worker: int, step: int, repeated: int | None) -> None:
        life.do(Beat(life.id(worker), ProgressReport(step=step, repeated_steps=repeated)))

    report(0, 55, None)  # it was at step 57 when worker 2 was lost, and has gone on from step 50
    life.fail(2)
    life.leave_epoch(0, 1)
    for worker in (0, 1):
        report(worker, 53, 7)
    assert life.state.elastic.lost_steps == 7
    life.fail(0)
    life.leave_epoch(1)
    life.add(3)
    report(1, 61, 10)  # 3 more
    report(3, 61, None)
    report(1, 70, 10)
    assert (life.epochs[-1], life.state.elastic.lost_steps) == ([1, 3], 10)


def test_progress_is_the_first_ranks_and_repeated_steps_are_counted(life: Life) -> None:
    life.do(Beat(life.id(1), ProgressReport(step=99)))
    assert life.state.progress is None
    for done in (40, 57, 50):
        life.do(Beat(life.id(0), ProgressReport(step=done)))
    assert life.state.progress is not None
    assert (life.state.progress.step, life.state.elastic.lost_steps) == (50, 7)


def test_a_loss_while_the_model_is_published_fails_the_run_at_once(life: Life) -> None:
    life.do(Beat(life.id(0), ended=True))
    life.fail(2)
    assert life.state.phase == "Failed"


def test_a_worker_that_has_ended_is_not_waited_for_by_one_that_has_not(life: Life) -> None:
    life.do(Beat(life.id(0), ended=True))
    life.leave_epoch(1, complete=False)
    assert life.state.phase == "Failed"
    assert life.state.cause is not None
    assert "after another worker had finished" in life.state.cause.log_tail


def test_workers_that_have_finished_never_hang(life: Life) -> None:
    for worker in range(2):
        life.succeed(worker)
    life.do(Beat(life.id(2), ended=True))
    life.pass_time(10 * LEAVE)
    assert life.state.phase == "Running"
    life.succeed(2)
    assert life.state.phase == "Succeeded"


def test_the_end_of_a_worker_that_does_not_train_is_no_failure_of_the_run(life: Life) -> None:
    life.add(3)
    life.fail(3)
    assert (life.state.facts.failures, life.state.elastic.lost_workers) == ((), 0)


def test_a_newcomer_is_part_of_an_epoch_only_once_its_processes_wait_for_a_place(life: Life) -> None:
    life.add(3, ready=False)
    life.pass_time(60)
    assert life.state.elastic.announced is None
    life.wait_for_place(3)
    life.pass_time(1)
    assert life.state.elastic.announced is not None
    life.leave_epoch(0, 1, 2)
    assert life.epochs[1:] == [[0, 1, 2, 3]]


def test_after_a_loss_the_others_go_on_without_a_newcomer_that_is_not_ready(life: Life) -> None:
    life.fail(1)
    life.add(1, ready=False)
    life.leave_epoch(0, 2)
    assert life.epochs[1:] == [[0, 2]]


def test_a_process_that_is_gone_while_it_waits_is_part_of_no_epoch(life: Life) -> None:
    life.add(3)
    life.do(Gone(life.id(3)))
    life.leave_epoch(0, 1)
    life.do(Gone(life.id(1)))
    life.leave_epoch(2)
    assert len(life.epochs) == 1
    life.pass_time(3)
    assert life.epochs[1:] == [[0, 2]]


def test_a_newcomer_whose_processes_never_wait_for_a_place_is_lost_and_costs_the_run_nothing(life: Life) -> None:
    life.add(3, ready=False)
    life.pass_time(599)
    assert 3 in life.state.facts.agents
    life.pass_time(2)
    assert sorted(life.state.facts.agents) == [0, 1, 2]
    assert (life.state.facts.failures, life.state.elastic.lost_workers, len(life.epochs)) == ((), 0, 1)


def test_the_failure_of_a_process_that_has_waited_for_long_is_its_own(life: Life) -> None:
    life.add(3)
    life.pass_time(601)
    life.do(Gone(life.id(3)))
    life.pass_time(1)
    life.fail(3)
    assert "worker-3" in life.state.elastic.failed


def test_a_worker_that_waits_for_a_place_at_its_next_start_is_none_whose_script_fails() -> None:
    life = Life(build_run(workers=2))
    for worker in range(2):
        life.add(worker, ready=False)
        life.fail(worker)
        life.add(worker)
    assert (life.state.phase, life.epochs) == ("Running", [[0, 1]])


def test_at_the_start_the_slower_workers_are_waited_for_a_while() -> None:
    life = Life(build_run(workers=3, least=2))
    for worker in range(3):
        life.add(worker, ready=worker < 2)
    life.pass_time(LEAVE - 1)
    assert life.epochs == []
    life.pass_time(2)
    assert life.epochs == [[0, 1]]


def test_a_worker_that_registers_at_the_last_moment_has_time_to_import() -> None:
    life = Life(build_run(workers=2))
    life.add(0)
    life.pass_time(595)
    life.add(1, ready=False)
    life.pass_time(20)
    assert life.state.phase == "Waiting"
    life.wait_for_place(1)
    assert life.epochs == [[0, 1]]


def test_a_worker_that_never_asks_for_a_place_does_not_hold_up_a_start_for_ever() -> None:
    life = Life(build_run(workers=2))
    life.add(0)
    life.pass_time(595)
    life.add(1, ready=False)
    life.pass_time(LEAVE + 10)
    assert life.state.phase == "Failed"


def test_a_script_that_fails_in_all_workers_before_the_first_epoch_fails_the_run_with_its_cause() -> None:
    life = Life(build_run(workers=3, least=2))
    for worker in range(3):
        life.add(worker, ready=False)
    life.fail(0, "SyntaxError")
    life.fail(1, "SyntaxError")
    life.add(0, ready=False)  # its pod is created again
    life.fail(0, "SyntaxError")
    assert life.state.phase == "Waiting"
    life.fail(2, "SyntaxError")
    assert life.state.phase == "Failed"
    assert life.state.cause is not None
    assert life.state.cause.log_tail == "SyntaxError"


def test_a_script_that_ends_in_all_workers_without_a_place_has_succeeded() -> None:
    life = Life(build_run(workers=3, least=2))
    for worker in range(3):
        life.add(worker, ready=False)
    life.succeed(0)
    life.succeed(1)
    assert life.state.phase == "Waiting"
    life.succeed(2)
    assert (life.state.phase, life.epochs) == ("Succeeded", [])
