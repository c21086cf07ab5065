"""Asynchronous successive halving (ASHA) and Hyperband: which trial goes on at a rung. Only arithmetic.

A rung is a training step at which trials are compared. With the reduction factor e and n trials at a rung, those among
the best n/e go on, at least one; the others are pruned. A trial is judged as soon as it arrives, by those that were
there before (Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020). Of n that arrive in the
order of their quality, the best last, all go on: what is saved depends on the order, and nobody waits.

Hyperband (Li et al., JMLR 2018) hedges against metrics that say little early on: its brackets s = 0, 1, … have their
first rung at minSteps * e^s, the last bracket prunes least. Trials are compared within their bracket. As a bracket with
earlier rungs spends less on each trial, it gets more of them: in proportion to e^(S-s) / (S-s+1), with the last
bracket S.

    minSteps 10, maxSteps 270, factor 3:  bracket 0: rungs 10, 30, 90;  1: 30, 90;  2: 90;  3: none
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

from fairlead.api.sweep import Objective, Pruning
from fairlead.api.sweep_status import MAX_TRIALS

_MAX_RUNGS = 32
"""With the smallest factor, 2, they reach beyond any step."""


def find_rungs(pruning: Pruning, number: int) -> tuple[int, ...]:
    """Return the steps at which a trial is judged."""
    factor, last = pruning.reduction_factor, pruning.max_steps
    first = pruning.min_steps * factor ** find_bracket(pruning, number)
    steps = (first * factor**rung for rung in range(_MAX_RUNGS))
    return tuple(step for step in steps if last is None or step < last)


def find_bracket(pruning: Pruning, number: int) -> int:
    """Return the bracket of a trial; all trials of ASHA are in bracket 0."""
    if pruning.algorithm != "Hyperband" or pruning.max_steps is None:
        return 0
    return _assign_brackets(pruning.min_steps, pruning.max_steps, pruning.reduction_factor)[number - 1]


def survives(objective: Objective, value: float, values: Sequence[float], factor: int) -> bool:
    """Return whether a trial goes on beyond a rung; `values` are those of all trials there, with its own."""
    places = max(len(values) // factor, 1)
    better = sum(objective.improves(other, value) for other in values)
    return better < places


@lru_cache(64)
def _assign_brackets(min_steps: int, max_steps: int, factor: int) -> tuple[int, ...]:
    """Return the bracket of each trial that a sweep may have: any number of first ones is spread as all are."""
    last = 0
    while min_steps * factor ** (last + 1) <= max_steps:
        last += 1
    shares = [Fraction(factor ** (last - bracket), last - bracket + 1) for bracket in range(last + 1)]
    scale = math.lcm(*(share.denominator for share in shares))
    weights = [int(share * scale) for share in shares]
    credits, assigned = [0] * len(weights), []
    for _ in range(MAX_TRIALS):
        # the bracket that is furthest behind its share gets the next trial
        credits = [credit + weight for credit, weight in zip(credits, weights, strict=True)]
        bracket = credits.index(max(credits))
        credits[bracket] -= sum(weights)
        assigned.append(bracket)
    return tuple(assigned)
