"""The values of a feature in its type: the one place that decides what is missing and what stands for it.

The join and the look-up both come through here, so that a feature is not computed in two ways.
"""

from typing import Any

import numpy as np
from fairlead_contracts.tensors import DTYPES, Array
from numpy.typing import NDArray

from .definitions import Feature

_FLOATS = ("FP32", "FP64")


def complete(feature: Feature, values: NDArray[Any], present: NDArray[np.bool_]) -> tuple[Array, NDArray[np.bool_]]:
    """Return the values in the feature's type, with its default where there is none, and where one is missing still.

    A floating-point number that is not finite is no value. Those that are missing are 0, False or an empty text.
    """
    dtype = DTYPES[feature.type]
    if feature.type in _FLOATS:
        numbers = values.astype(dtype)  # texts were rejected with the source, and a None is not-a-number
        present = present & np.isfinite(numbers)
        values = numbers
    elif values.dtype == object:
        present = present & np.array([value is not None and value == value for value in values], bool)
    empty = "" if feature.type == "BYTES" else 0
    filler = empty if feature.default is None else feature.default
    filled = np.where(present, values, filler).astype(dtype)
    return filled, (~present if feature.default is None else np.zeros(len(present), bool))


def describe_key(keys: dict[str, Any]) -> str:
    """Return an entity in words."""
    return ", ".join(f"{name}={value!r}"[:200] for name, value in keys.items())
