"""Statistics of all benchmarks: medians, and ratios within a round with their spread."""

import math
import statistics
from collections.abc import Sequence

Round = dict[str, float]


def median(rounds: Sequence[Round], key: str) -> float:
    """Return the median of a figure."""
    return statistics.median(each[key] for each in rounds)


def ratios(over: Sequence[Round], under: Sequence[Round], key: str) -> str:
    """Return the median, minimum and maximum of the rounds' ratios; either side may have had fewer rounds.

    A round that has ended on neither side, so that both figures are infinite, has none.
    """
    pairs = ((a[key], b[key]) for a, b in zip(over, under, strict=False))
    if not (found := [a / b for a, b in pairs if not math.isinf(a) or not math.isinf(b)]):
        return "none"
    return f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least `percent` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * int(percent * 100) // 10000) - 1)]
