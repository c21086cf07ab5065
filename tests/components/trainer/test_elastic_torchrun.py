"""The rules of elastic torchrun runs: when processes are stopped, and whose fault it is that some have failed."""

import pytest
from fairlead_contracts.progress import ProgressReport
from fairlead_trainer.events import Beat, Finished, Left
from fairlead_trainer.losses import is_recalled
from fairlead_trainer.state import Rejected

from .test_elastic import LEAVE, SILENCE_AFTER_FAILURE, Life, build_run

PEER_LOST = "RuntimeError: Connection closed by peer [10.0.0.2]:4000"
OWN = "ValueError: a label is out of range"


@pytest.fixture
def life() -> Life:
    """Return a run of one to four workers that trains with three."""
    life = Life(build_run(least=1, backend="torchrun"))
    for worker in range(3):
        life.add(worker)
    assert life.epochs == [[0, 1, 2]]
    return life


def recalled(life: Life) -> bool:
    return is_recalled(life.run, life.state)


def lost(life: Life) -> int:
    return life.state.elastic.lost_workers


def test_at_a_loss_the_others_stop_their_processes_and_begin_again_together(life: Life) -> None:
    life.fail(1)
    assert recalled(life)
    life.stop(0)
    assert len(life.epochs) == 1
    life.stop(2)
    assert life.epochs[1:] == [[0, 2]]
    assert not recalled(life)
    assert (life.state.elastic.reason, lost(life)) == ("WorkersLost", 1)


def test_each_epoch_has_the_port_that_its_first_worker_found_when_it_left_the_last_one(life: Life) -> None:
    life.fail(0)
    life.stop(1, 2)
    assert life.epochs[1:] == [[1, 2]]
    assert [life.state.facts.agents[worker].member.port for worker in (1, 2)] == [5001, 5002]


def test_survivors_whose_processes_fail_before_the_loss_is_known_go_on(life: Life) -> None:
    life.kill(1)
    life.stop(0, text=PEER_LOST)
    life.stop(2, text=OWN)  # whatever they say
    life.pass_time(SILENCE_AFTER_FAILURE - 1)
    assert (len(life.epochs), lost(life)) == (1, 0)
    life.pass_time(2)
    assert life.epochs[1:] == [[0, 2]]
    assert (lost(life), sorted(life.agents)) == (1, [0, 2])


def test_survivors_whose_processes_fail_after_the_loss_go_on(life: Life) -> None:
    life.do(Finished(life.id(1), stopped="stopped by a signal"))
    del life.agents[1]
    life.stop(0, 2, text=OWN)
    assert life.epochs[1:] == [[0, 2]]
    assert lost(life) == 1


def test_with_all_agents_alive_the_one_that_says_nothing_of_a_peer_is_to_blame(life: Life) -> None:
    guilty = life.id(2)
    life.stop(0, text=PEER_LOST)
    life.stop(2, text=OWN)
    life.stop(1, text=PEER_LOST)
    assert len(life.epochs) == 1
    life.pass_time(2)
    assert life.epochs[1:] == [[0, 1]]
    assert [failure.worker for failure in life.state.facts.failures] == [2]
    assert "worker-2" in life.state.elastic.failed
    with pytest.raises(Rejected):
        life.do(Left(guilty, 0, 5000))  # so that its agent reports its failure and ends


def test_of_several_that_say_nothing_of_a_peer_the_first_is_to_blame(life: Life) -> None:
    life.stop(1, text=OWN)
    life.stop(0, 2, text="the others have gone")
    life.pass_time(2)
    assert life.epochs[1:] == [[0, 2]]


def test_if_all_say_that_they_lost_a_peer_and_none_is_lost_they_begin_again(life: Life) -> None:
    life.stop(0, 1, 2, text=PEER_LOST)
    life.pass_time(2)
    assert life.epochs[1:] == [[0, 1, 2]]
    assert (life.state.elastic.reason, lost(life)) == ("Restarted", 0)


def test_one_that_still_trains_stops_when_another_has_failed(life: Life) -> None:
    life.stop(1, text=PEER_LOST)
    assert not recalled(life)
    life.pass_time(2)
    assert recalled(life)
    life.stop(0, 2)
    assert life.epochs[1:] == [[0, 1, 2]]


def test_what_fails_while_the_others_are_stopped_is_nobodys_fault(life: Life) -> None:
    life.add(3)
    life.pass_time(6)
    assert recalled(life)
    life.stop(0)
    life.stop(1, 2, text=OWN)
    assert life.epochs[1:] == [[0, 1, 2, 3]]
    assert (lost(life), life.state.elastic.reason) == (0, "WorkersJoined")


def test_a_script_that_fails_everywhere_at_the_same_step_fails_the_run_the_second_time(life: Life) -> None:
    life.do(Beat(life.id(0), ProgressReport(step=40), epoch=0))
    life.stop(0, 1, 2, text=OWN)
    life.pass_time(2)
    assert life.epochs[1:] == [[1, 2]]
    life.do(Beat(life.id(1), ProgressReport(step=40), epoch=1))
    life.stop(1, 2, text=OWN)
    life.pass_time(2)
    assert life.state.phase == "Failed"
    assert life.state.cause is not None
    assert life.state.cause.log_tail == OWN


def test_a_run_that_has_come_further_is_judged_anew(life: Life) -> None:
    for step, members in ((40, [1, 2]), (60, [2])):
        assert life.state.membership is not None
        first = life.state.membership.members[0].worker
        life.do(Beat(life.id(first), ProgressReport(step=step), epoch=life.state.membership.epoch))
        life.stop(*life.epochs[-1], text=OWN)
        life.pass_time(2)
        assert life.epochs[-1] == members


def test_processes_that_lose_their_peers_again_and_again_are_not_started_without_end(life: Life) -> None:
    for _ in range(2):
        life.stop(0, 1, 2, text=PEER_LOST)
        life.pass_time(2)
    assert life.epochs[1:] == [[0, 1, 2], [1, 2]]


@pytest.mark.parametrize("text", [PEER_LOST, OWN])
def test_a_run_that_never_comes_further_fails_although_its_workers_are_replaced(text: str) -> None:
    life = Life(build_run(workers=4, least=1, backend="torchrun"))
    for worker in range(4):
        life.add(worker)
    for _ in range(5):
        assert life.state.phase == "Running"
        first, *others = life.epochs[-1]
        life.do(Beat(life.id(first), ProgressReport(step=40), epoch=len(life.epochs) - 1))
        life.stop(first, text=text)  # as if only rank 0 could not do what comes next
        life.stop(*others, text=PEER_LOST)
        life.pass_time(2)
        for worker in set(range(4)) - set(life.agents):
            life.add(worker)
        if life.state.phase == "Running" and len(life.epochs[-1]) < 4:
            life.pass_time(6)
            life.stop(*life.epochs[-1])
    assert life.state.phase == "Failed"
    assert life.state.cause is not None
    assert (life.state.cause.worker, life.state.cause.log_tail) == (first, text)


def test_a_run_that_reports_no_progress_and_goes_on_for_long_is_judged_anew(life: Life) -> None:
    for _ in range(5):
        life.stop(0, 1, 2, text=PEER_LOST)
        life.pass_time(2)
        life.pass_time(700)
    assert (life.epochs[1:], lost(life)) == ([[0, 1, 2]] * 5, 0)


def test_an_agent_that_does_not_stop_its_processes_is_lost(life: Life) -> None:
    life.fail(1)
    life.stop(0)
    life.pass_time(LEAVE + life.run.timing.stop_grace - 1)
    assert len(life.epochs) == 1
    life.pass_time(2)
    assert life.epochs[1:] == [[0]]
    assert lost(life) == 2


def test_what_an_earlier_epoch_says_is_not_heard(life: Life) -> None:
    life.do(Beat(life.id(0), ProgressReport(step=40), epoch=0))
    life.fail(1)
    life.stop(0, 2)
    life.do(Beat(life.id(0), ProgressReport(step=99), ended=True, epoch=0))
    life.stop(0, text=OWN, epoch=0)
    assert life.state.progress is not None
    assert (life.state.progress.step, life.state.elastic.arrived, recalled(life)) == (40, frozenset(), False)
    assert not life.state.facts.agents[0].ended


def test_lost_steps_are_those_after_the_checkpoint_from_which_the_next_epoch_goes_on(life: Life) -> None:
    life.do(Beat(life.id(0), ProgressReport(step=57), epoch=0))
    life.fail(1)
    life.stop(0, 2)
    for step in (58, 59):  # the first report may come late
        life.do(Beat(life.id(0), ProgressReport(step=step, resumed_from_step=50), epoch=1))
    assert life.state.elastic.lost_steps == 7


def test_a_worker_that_leaves_is_no_loss(life: Life) -> None:
    life.pass_time(1, 2)
    assert recalled(life)
    life.stop(0, 1, 2)
    assert life.epochs[1:] == [[0, 1]]
    life.do(Finished(life.id(2), stopped="stopped by a signal"))
    assert (life.state.phase, lost(life), life.state.elastic.reason) == ("Running", 0, "WorkersLeft")


def test_below_the_minimum_the_processes_are_stopped_until_a_successor_is_there() -> None:
    life = Life(build_run(workers=2, least=2, backend="torchrun"))
    life.add(0)
    life.add(1)
    life.fail(1)
    assert recalled(life)
    life.stop(0)
    life.pass_time(60)
    assert len(life.epochs) == 1
    life.add(1)
    assert life.epochs[1:] == [[0, 1]]


def test_processes_that_have_ended_are_started_again_if_others_are_lost_before_theirs_have(life: Life) -> None:
    life.do(Beat(life.id(0), ended=True, epoch=0))
    life.add(3)
    life.pass_time(10)
    assert not recalled(life)  # it is about to end: nobody joins
    life.do(Beat(life.id(0), ended=True, epoch=0))
    life.fail(1)
    assert recalled(life)
    life.stop(0, 2)
    assert life.epochs[1:] == [[0, 2, 3]]
    assert not life.state.facts.agents[0].ended


def test_the_run_succeeds_when_all_processes_have_exited_with_0(life: Life) -> None:
    for worker in range(3):
        assert not life.state.all_ended()
        life.do(Beat(life.id(worker), ended=True, epoch=0))
    assert life.state.all_ended()
    for worker in range(3):
        assert life.state.phase == "Running"
        life.succeed(worker)
    assert life.state.phase == "Succeeded"
