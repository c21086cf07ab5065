"""The probabilities that a classifier's scores mean. Imported on devices."""

import numpy as np
from numpy.typing import NDArray

_ROUNDING = 1e-3
"""How far the sum of a row of probabilities may be from 1."""


def to_probabilities(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities for finite scores `[rows, classes]`: the scores themselves if they are some, else softmax.

    A network often returns logits.
    """
    if (scores >= 0).all() and np.allclose(scores.sum(axis=1), 1, atol=_ROUNDING):
        return np.asarray(scores / scores.sum(axis=1, keepdims=True))
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
