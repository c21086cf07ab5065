"""Simulated lives of a Sweep: whatever its jobs do and wherever the operator dies, it ends within its limits."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from fairlead.api.sweep import Sweep
from fairlead.core.conditions import is_true
from fairlead.core.sweep.status import find_best
from fairlead.core.sweep.values import choose_random

from tests.support.resources import make_sweep
from tests.support.simulated_sweep import STEPS, SimulatedSweep

SEEDS = range(20)
ASHA = {"algorithm": "ASHA", "minSteps": 10, "reductionFactor": 3}
HYPERBAND = {"algorithm": "Hyperband", "minSteps": 10, "maxSteps": STEPS, "reductionFactor": 3}
FAULTS = {"kill": 0.2, "fail": 0.01, "hang": 0.01, "vanish": 0.002}


def quality(values: dict[str, str], step: int) -> float:
    """Larger learning rates learn more in this world, and everything grows with the steps."""
    return round(float(values["lr"]) * step, 6)


def rank(values: dict[str, str], step: int) -> float:
    """The order of two trials never changes in this world."""
    return float(values["lr"])


def live(
    seed: int, sweep: Sweep, curve: Callable[[dict[str, str], int], float] = quality, **faults: float
) -> SimulatedSweep:
    life = SimulatedSweep(sweep, random.Random(seed), curve=curve, **faults)
    life.run()
    return life


def variants() -> list[Any]:
    grid = [
        {"name": "lr", "double": {"min": 0.01, "max": 0.05, "step": 0.01}},
        {"name": "width", "categorical": {"values": ["8", "16"]}},
        {"name": "optimizer", "categorical": {"values": ["adam"]}},
    ]
    return [
        pytest.param({}, id="random"),
        pytest.param({"spec__algorithm": {"name": "TPE"}, "spec__pruning": ASHA}, id="tpe-asha"),
        pytest.param({"spec__algorithm": {"name": "Grid"}, "spec__parameters": grid}, id="grid"),
        pytest.param({"spec__pruning": HYPERBAND, "spec__maxTrials": 30}, id="hyperband"),
        pytest.param({"spec__objective__target": 5.0, "spec__pruning": ASHA}, id="target"),
        pytest.param({"spec__activeDeadlineSeconds": 60}, id="deadline"),
        pytest.param({"spec__maxFailedTrials": 0}, id="no-failures"),
    ]


@pytest.mark.parametrize("changes", variants())
@pytest.mark.parametrize("seed", SEEDS)
def test_every_sweep_ends_within_its_limits(seed: int, changes: dict[str, Any]) -> None:
    sweep = make_sweep(**changes)
    life = live(seed, sweep, **FAULTS)
    status = life.sweep.status
    assert is_true(status.conditions, "Succeeded") != is_true(status.conditions, "Failed")
    assert life.most_running <= sweep.spec.parallelism
    assert len(status.trials) <= sweep.spec.max_trials
    assert [trial.number for trial in status.trials] == list(range(1, len(status.trials) + 1))
    assert not any(trial.active for trial in status.trials)
    assert not life.running(), "a job trains that no trial needs"
    assert status.counts.failed <= sweep.spec.max_failed_trials + sweep.spec.parallelism
    assert (status.best.number if status.best else None) == getattr(
        find_best(sweep.spec.objective, status.trials), "number", None
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_an_operator_that_dies_between_any_two_writes_runs_the_same_trials(seed: int) -> None:
    calm, killed = live(seed, make_sweep()), live(seed, make_sweep(), kill=0.5)
    assert killed.kills > 5
    expected = {number: [choose_random(make_sweep().spec.parameters, 0, number)] for number in range(1, 13)}
    assert calm.created == killed.created == expected
    assert calm.sweep.status.best == killed.sweep.status.best
    assert killed.sweep.status.counts.succeeded == 12


@pytest.mark.parametrize("seed", SEEDS)
def test_a_record_that_is_lost_is_made_again_from_the_jobs(seed: int) -> None:
    life = live(seed, make_sweep(), kill=0.2, forget=0.05)
    assert sorted(life.created) == list(range(1, 13))
    assert all(len(times) == 1 for times in life.created.values()), "a trial ran twice"
    assert life.most_running <= 3
    assert life.sweep.status.counts.succeeded == 12


@pytest.mark.parametrize("seed", SEEDS)
def test_values_of_a_sampler_are_decided_once(seed: int) -> None:
    """Each answer of this sampler is another one, so that a second decision would show."""
    life = live(seed, make_sweep(spec__algorithm={"name": "TPE"}), kill=0.5)
    recorded = {trial.number: trial.parameters for trial in life.sweep.status.trials}
    assert {number: times[0] for number, times in life.created.items()} == recorded
    assert all(len(times) == 1 for times in life.created.values())


@pytest.mark.parametrize("pruning", [ASHA, HYPERBAND], ids=["asha", "hyperband"])
@pytest.mark.parametrize("seed", SEEDS)
def test_pruning_saves_steps_and_keeps_one_of_the_best(seed: int, pruning: dict[str, Any]) -> None:
    spec = {"spec__maxTrials": 30, "spec__parallelism": 4}
    whole = live(seed, make_sweep(**spec), rank)
    pruned = live(seed, make_sweep(spec__pruning=pruning, **spec), rank)
    steps = [sum(job.step for job in life.jobs.values()) for life in (whole, pruned)]
    assert steps[1] < 0.8 * steps[0]
    assert pruned.sweep.status.counts.pruned > 5
    assert pruned.sweep.status.best == whole.sweep.status.best


@pytest.mark.parametrize("seed", SEEDS)
def test_a_suspended_sweep_trains_nothing_and_goes_on_afterwards(seed: int) -> None:
    life = SimulatedSweep(make_sweep(), random.Random(seed), curve=quality, kill=0.2)
    for suspend in (True, False) * 5:
        for _ in range(life.random.randint(1, 10)):
            life.reconcile()
            life.step()
        spec = life.sweep.spec.model_copy(update={"suspend": suspend})
        life.sweep = life.sweep.model_copy(update={"spec": spec})
        if suspend and not life.sweep.status.completion_time:
            for _ in range(40):
                life.reconcile()
            assert not life.running()
            assert is_true(life.sweep.status.conditions, "Suspended")
    assert life.run().counts.succeeded == 12


@pytest.mark.parametrize("seed", range(10))
def test_a_finished_sweep_does_not_change(seed: int) -> None:
    life = live(seed, make_sweep(spec__pruning=ASHA), **FAULTS)
    before = life.sweep.status
    for _ in range(20):
        life.step()
        plan = life.reconcile()
        assert (plan.apply_last, plan.patches, plan.events, plan.requeue_after) == ((), (), (), None)
    assert life.sweep.status == before
