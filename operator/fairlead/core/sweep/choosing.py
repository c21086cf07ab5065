"""Which trials come next, and with which values."""

from collections.abc import Mapping, Sequence

from fairlead.api.sweep import Sweep
from fairlead.api.sweep_status import TrialStatus
from fairlead.core.sweep.observed import Suggestions
from fairlead.core.sweep.values import Values, choose_grid, choose_random, count_points


def find_limit(sweep: Sweep) -> int:
    """Return how many trials the sweep has at most."""
    limit = sweep.spec.max_trials
    return min(limit, count_points(sweep.spec.parameters)) if sweep.spec.algorithm.name == "Grid" else limit


def find_next(sweep: Sweep, trials: Sequence[TrialStatus]) -> tuple[int, ...]:
    """Return the numbers of the trials that may be created now: the lowest that are free."""
    places = sweep.spec.parallelism - sum(trial.active for trial in trials)
    taken = {trial.number for trial in trials}
    free = [number for number in range(1, find_limit(sweep) + 1) if number not in taken]
    return tuple(free[: max(places, 0)])


def choose_values(sweep: Sweep, numbers: Sequence[int], suggestions: Suggestions | None) -> Mapping[int, Values]:
    """Return the values of further trials by number; those that a sampler has not answered yet are missing."""
    algorithm, parameters = sweep.spec.algorithm, sweep.spec.parameters
    if algorithm.name == "TPE":
        known = suggestions.values if suggestions else {}
        return {number: known[number] for number in numbers if number in known}
    if algorithm.name == "Random":
        return {number: choose_random(parameters, algorithm.seed, number) for number in numbers}
    points = {number: choose_grid(parameters, number) for number in numbers}
    return {number: values for number, values in points.items() if values is not None}
