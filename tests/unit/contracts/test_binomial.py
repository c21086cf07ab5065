"""Exact bounds of a share, against values by SciPy and the binomial distribution itself."""

import math
from fractions import Fraction
from typing import Any

import pytest
from fairlead_contracts.binomial import bound_above, bound_below, bound_between
from fairlead_contracts.errors import ContractError


@pytest.mark.parametrize(
    ("successes", "trials", "confidence", "low", "high", "reason"),
    [
        (682, 925, 0.95, 0.7076682641, 0.7654065582, "R's example of binom.test"),
        (5, 10, 0.95, 0.1870860284, 0.8129139716, "few trials"),
        (95, 100, 0.95, 0.8871650889, 0.9835681208, "near 1"),
        (294, 300, 0.9998, 0.9308210287, 0.9976036808, "a tail of 1 in 10,000"),
        (3, 1_000_000, 0.99, 3.378636695e-07, 1.097743371e-05, "rare"),
        (999_000, 1_000_000, 0.9999, 0.9988712408, 0.9991182963, "many trials"),
    ],
)
def test_bounds_are_those_of_clopper_and_pearson(
    successes: int, trials: int, confidence: float, low: float, high: float, reason: str
) -> None:
    assert bound_between(successes, trials, confidence) == pytest.approx((low, high), rel=1e-6), reason


@pytest.mark.parametrize(("trials", "confidence"), [(1, 0.5), (30, 0.95), (300, 0.9999), (10**9, 0.95)])
def test_none_found_is_the_rule_of_three(trials: int, confidence: float) -> None:
    expected = -math.expm1(math.log(1 - confidence) / trials)
    assert bound_above(0, trials, confidence) == pytest.approx(expected, rel=1e-6)
    assert bound_below(trials, trials, confidence) == pytest.approx(1 - expected, rel=1e-9)
    assert bound_below(0, trials, confidence) == 0
    assert bound_above(trials, trials, confidence) == 1


def tail(successes: int, trials: int, probability: float) -> float:
    """Return the probability of so many successes or more, summed with fractions."""
    p = Fraction(probability)
    terms = (math.comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(successes, trials + 1))
    return float(sum(terms, Fraction()))


@pytest.mark.parametrize(("successes", "trials"), [(1, 1), (1, 7), (6, 7), (20, 40), (39, 40)])
@pytest.mark.parametrize("confidence", [0.6, 0.95, 0.9999])
def test_at_a_bound_what_was_seen_has_the_probability_that_is_left(
    successes: int, trials: int, confidence: float
) -> None:
    left = pytest.approx(1 - confidence, rel=1e-9)
    assert tail(successes, trials, bound_below(successes, trials, confidence)) == left
    # failures instead of successes: the same from above
    upper = bound_above(trials - successes, trials, confidence)
    assert tail(successes, trials, 1 - upper) == left


def test_more_trials_and_less_confidence_narrow_the_interval() -> None:
    widths = []
    for trials, confidence in ((10, 0.99), (10, 0.95), (100, 0.95), (10_000, 0.95), (1_000_000, 0.95)):
        low, high = bound_between(trials // 2, trials, confidence)
        assert low < 0.5 < high
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)


def test_without_trials_nothing_is_known() -> None:
    assert (bound_below(0, 0, 0.95), bound_above(0, 0, 0.95), bound_between(0, 0, 0.95)) == (0, 1, (0, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 10, 0.95), "successes: got -1, expected an integer from 0 to the 10 trials"),
        ((11, 10, 0.95), "successes: got 11, expected an integer from 0 to the 10 trials"),
        ((True, 10, 0.95), "successes: got True"),
        ((0, -1, 0.95), "trials: got -1, expected an integer from 0 to 1000000000"),
        ((0, 10.0, 0.95), "trials: got 10.0"),
        ((0, 10**9 + 1, 0.95), "trials: got 1000000001"),
        ((0, 10, 0.0), "confidence: got 0.0, expected a number between 0 and 1"),
        ((0, 10, 1.0), "confidence: got 1.0"),
        ((0, 10, math.nan), "confidence: got nan"),
    ],
)
def test_counts_and_confidences_out_of_bounds_are_rejected(arguments: Any, message: str) -> None:
    for bound in (bound_below, bound_above, bound_between):
        with pytest.raises(ContractError) as caught:
            bound(*arguments)
        assert str(caught.value).startswith(message)
