"""Exact confidence bounds of a share: what is known of a probability after `successes` of `trials`.

The bounds of C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the
binomial", Biometrika 26 (1934). They hold for any number of trials and any share, near 0 and 1 too, and are never too
narrow. Plain Python, so that the operator and devices need no numpy.
"""

import math
from collections.abc import Callable

from .plain import require

MAX_TRIALS = 10**9
_STEPS = 300
"""Steps towards a root, of which each third halves its interval: more than the numbers from 0 to 1 allow."""
_EPSILON = 1e-15
_TINY = 1e-300


def bound_below(successes: int, trials: int, confidence: float) -> float:
    """Return the share that the probability is at least, with a confidence from 0 to 1; 0 without trials.

    Raises ContractError for counts or a confidence out of bounds.
    """
    _check(successes, trials, confidence)
    return _find_lower(successes, trials, 1 - confidence)


def bound_above(successes: int, trials: int, confidence: float) -> float:
    """Return the share that the probability is at most, with a confidence from 0 to 1; 1 without trials.

    Raises ContractError for counts or a confidence out of bounds.
    """
    _check(successes, trials, confidence)
    return 1 - _find_lower(trials - successes, trials, 1 - confidence)


def bound_between(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """Return the interval that has the probability, with a confidence from 0 to 1, half of the rest on each side.

    Raises ContractError for counts or a confidence out of bounds.
    """
    _check(successes, trials, confidence)
    tail = (1 - confidence) / 2
    return _find_lower(successes, trials, tail), 1 - _find_lower(trials - successes, trials, tail)


def _check(successes: int, trials: int, confidence: float) -> None:
    require(type(trials) is int and 0 <= trials <= MAX_TRIALS, "trials", trials, f"an integer from 0 to {MAX_TRIALS}")
    fits = type(successes) is int and 0 <= successes <= trials
    require(fits, "successes", successes, f"an integer from 0 to the {trials} trials")
    require(0 < confidence < 1, "confidence", confidence, "a number between 0 and 1")


def _find_lower(successes: int, trials: int, tail: float) -> float:
    """Return the probability with which so many successes, or more, have the probability `tail`."""
    if successes == 0:
        return 0.0

    def excess(share: float) -> float:
        # P(X >= k) of a binomial distribution is I_p(k, n - k + 1)
        return _incomplete_beta(share, successes, trials - successes + 1) - tail

    share = successes / trials
    # at the share itself the probability is at least a half; ten standard deviations below it is next to nothing
    low = max(0.0, share - 10 * math.sqrt(share * (1 - share) / trials) - 10 / trials)
    low = low if excess(low) < 0 else 0.0
    high = share if tail <= 0.5 else 1.0
    return _find_root(excess, low, high)


def _find_root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a rising function is 0, between where it is below and where it is above.

    Chords, whose kept end loses half of its weight (the Illinois method), by turns with halves.
    """
    below, above = function(low), function(high)
    for step in range(_STEPS):
        if high - low < _EPSILON * high:
            break
        middle = low - below * (high - low) / (above - below)
        if step % 3 == 2 or not low < middle < high:
            middle = (low + high) / 2
        value = function(middle)
        if value == 0 or middle in (low, high):
            return middle
        if value < 0:
            low, below, above = middle, value, above / 2
        else:
            high, above, below = middle, value, below / 2
    return (low + high) / 2


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b)."""
    if not 0 < x < 1:
        return float(x >= 1)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _evaluate_fraction(x, a, b) / a
    return 1 - front * _evaluate_fraction(1 - x, b, a) / b


def _evaluate_fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction of I_x(a, b) (Abramowitz and Stegun, 26.5.8), by Lentz's method.

    It converges in about the square root of max(a, b) steps where x < (a + 1) / (a + b + 2).
    """
    upper, lower = 1.0, 1 / _avoid_zero(1 - (a + b) * x / (a + 1))
    result = lower
    for step in range(1, 100 + 10 * math.isqrt(int(max(a, b)))):
        for term in (
            step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step)),
            -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1)),
        ):
            lower = 1 / _avoid_zero(1 + term * lower)
            upper = _avoid_zero(1 + term / upper)
            result *= lower * upper
        if abs(lower * upper - 1) < _EPSILON:
            break
    return result


def _avoid_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
