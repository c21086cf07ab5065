"""The statistics of the benchmarks."""

import math

from bench.figures import ratios


def rounds(*seconds: float) -> list[dict[str, float]]:
    return [{"seconds": each} for each in seconds]


def test_ratios_have_their_spread() -> None:
    assert ratios(rounds(1, 2, 9), rounds(2, 2, 3), "seconds") == "1.00 (0.50 to 3.00)"


def test_rounds_without_an_end_on_both_sides_have_no_ratio() -> None:
    over, under = rounds(math.inf, 1, 3), rounds(math.inf, 2, 1)
    assert ratios(over, under, "seconds") == "1.75 (0.50 to 3.00)"
    assert ratios(over[:1], under[:1], "seconds") == "none"
