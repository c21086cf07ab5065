"""What a model returns batch by batch, put together."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import Unusable


def join_outputs(names: Sequence[str], parts: Sequence[Sequence[NDArray[Any]]]) -> list[NDArray[Any]]:
    """Return the outputs of all batches, one array each; raise Unusable."""
    outputs = list(zip(*parts, strict=True))
    labels = names if len(names) == len(outputs) else [str(index) for index in range(len(outputs))]
    return [join_batches(name, pieces) for name, pieces in zip(labels, outputs, strict=True)]


def join_batches(name: str, pieces: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return the rows of all batches; raise Unusable unless each has rows, of one shape."""
    try:
        return np.concatenate(pieces)
    except ValueError:
        shapes = sorted({str(list(piece.shape)) for piece in pieces})
        raise Unusable(
            f"output {name}: got {', '.join(shapes)} for different batches, expected a row per example, of one shape"
        ) from None
