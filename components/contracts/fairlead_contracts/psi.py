"""The population stability index (PSI): how far the shares of bins are from those of a reference."""

import math
from collections.abc import Sequence


def measure_psi(reference: Sequence[int], counts: Sequence[int]) -> float:
    """Return the PSI of counts in the bins of a reference: the sum of (a - r) ln(a / r) over all shares r and a.

    A bin that is empty on one side would make it infinite, so the reference has half a row more in each bin (Jeffreys'
    prior; R. Krichevsky and V. Trofimov, IEEE Trans. Inf. Theory 27, 1981), and the counts have one row more, which is
    distributed as the reference. Bins that are empty on both sides add nothing. 0 without counts.
    """
    total, rows = sum(reference) + len(reference) / 2, sum(counts) + 1
    index = 0.0
    for expected, count in zip(reference, counts, strict=True):
        if expected or count:
            share = (expected + 0.5) / total
            actual = (count + share) / rows
            index += (actual - share) * math.log(actual / share)
    return index
