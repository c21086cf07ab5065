"""How uncertain a model is of each example. Pure."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from fairlead_contracts.probabilities import to_probabilities
from fairlead_datasets.errors import Unusable
from numpy.typing import NDArray

MEASURES = ("entropy", "margin")


def measure_uncertainty(scores: NDArray[Any], measure: str) -> NDArray[np.float64]:
    """Return a number for each row of scores `[rows, classes]`, larger for less certain ones.

    `entropy` is in nats; `margin` is 1 less the difference of the two largest probabilities.
    """
    chances = read_probabilities(scores)
    if measure == "entropy":
        logs = np.log(chances, out=np.zeros_like(chances), where=chances > 0)
        return np.asarray(-(chances * logs).sum(axis=1), np.float64)
    ordered = np.sort(chances, axis=1)
    return np.asarray(1 - (ordered[:, -1] - ordered[:, -2]), np.float64)


def read_probabilities(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Return probabilities: the scores themselves, or what softmax makes of them; raise Unusable."""
    if scores.ndim != 2 or scores.shape[1] < 2 or scores.dtype.kind != "f":
        raise Unusable(f"scores: got {scores.dtype} {list(scores.shape)}, expected a number for each row and class")
    if not np.isfinite(scores).all():
        row = int(np.flatnonzero(~np.isfinite(scores).all(axis=1))[0])
        raise Unusable(f"scores: row {row} has a value that is not finite")
    return to_probabilities(scores.astype(np.float64))


def choose(uncertainty: NDArray[Any], ids: Sequence[str], count: int) -> list[int]:
    """Return the rows of the most uncertain examples, each example once; of equal ones, the first."""
    chosen: dict[str, int] = {}
    for row in np.argsort(-uncertainty, kind="stable").tolist():
        if len(chosen) == count:
            break
        chosen.setdefault(ids[row], row)
    return list(chosen.values())
