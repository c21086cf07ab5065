"""Rungs, brackets, and who goes on."""

from collections import Counter
from typing import Any

import pytest
from fairlead.api.sweep import Objective, Pruning
from fairlead.core.sweep.rungs import find_bracket, find_rungs, survives

UP, DOWN = Objective(metric="accuracy", goal="Maximize"), Objective(metric="loss", goal="Minimize")


def pruning(**fields: Any) -> Pruning:
    return Pruning.model_validate({"minSteps": 10} | fields)


def test_rungs_are_apart_by_the_factor_and_end_before_the_last_step() -> None:
    assert find_rungs(pruning(maxSteps=270), 1) == (10, 30, 90)
    assert find_rungs(pruning(maxSteps=271), 1) == (10, 30, 90, 270)
    assert find_rungs(pruning(reductionFactor=2), 7)[:4] == (10, 20, 40, 80)


def test_the_brackets_of_hyperband_begin_later_and_later() -> None:
    hyperband = pruning(algorithm="Hyperband", maxSteps=270)
    rungs = {find_bracket(hyperband, number): find_rungs(hyperband, number) for number in range(1, 100)}
    assert rungs == {0: (10, 30, 90), 1: (30, 90), 2: (90,), 3: ()}


def test_brackets_get_their_shares_of_any_number_of_trials() -> None:
    hyperband = pruning(algorithm="Hyperband", maxSteps=270)
    brackets = [find_bracket(hyperband, number) for number in range(1, 501)]
    shares = [27 / 4, 9 / 3, 3 / 2, 1]
    for count in (5, 20, 100, 500):
        found = Counter(brackets[:count])
        for bracket, share in enumerate(shares):
            assert abs(found[bracket] - count * share / sum(shares)) <= 1.5, (count, bracket)


@pytest.mark.parametrize(
    ("objective", "value", "others", "goes_on", "reason"),
    [
        (UP, 0.5, [], True, "the first one is the best so far"),
        (UP, 0.5, [0.4], True, "better than the only other one"),
        (UP, 0.5, [0.6], False, "one of two goes on with a factor of 3"),
        (DOWN, 0.5, [0.6], True, "less is better"),
        (DOWN, 0.5, [0.4], False, "more is worse"),
        (UP, 0.5, [0.5], True, "as good as the best"),
        (UP, 0.5, [0.9, 0.8, 0.1, 0.2, 0.3], False, "third of six, of which two go on"),
        (UP, 0.5, [0.9, 0.4, 0.1, 0.2, 0.3], True, "second of six, of which two go on"),
        (UP, 0.5, [0.9, 0.8, 0.1, 0.2, 0.3, 0.1, 0.1, 0.1], True, "third of nine, of which three go on"),
    ],
)
def test_the_best_at_a_rung_go_on(
    objective: Objective, value: float, others: list[float], goes_on: bool, reason: str
) -> None:
    assert survives(objective, value, [*others, value], 3) == goes_on, reason
