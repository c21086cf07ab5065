"""Convert JSON numbers to arrays without guessing types; every error names the element."""

import array
import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from .errors import ContractError, Words
from .signature import MAX_DIMS
from .tensors import DTYPES, Array, is_finite, is_float, largest, reshape

_ALLOWED: dict[str, tuple[frozenset[type], str]] = {
    "b": (frozenset((bool,)), "true or false"),
    "i": (frozenset((int,)), "an integer"),
    "u": (frozenset((int,)), "an integer"),
    "f": (frozenset((int, float)), "a number"),
    "O": (frozenset((str,)), "a string"),
}

_PLAIN = frozenset("fd")
"""The types that the standard library converts to without a check of their range, by its letters, which are numpy's."""

_UNTYPED: dict[type, str] = {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES"}


def flatten_json(data: Any, at: str) -> tuple[list[Any], list[int]]:
    """Flatten nested lists of equal lengths; return the values and the shape."""
    if not isinstance(data, list):
        raise ContractError(at, data, "a list")
    shape, values = [len(data)], data
    while values and isinstance(values[0], list):
        lengths = {len(value) if isinstance(value, list) else -1 for value in values}
        if len(lengths) != 1:
            found = "values next to lists" if -1 in lengths else f"rows of {' and '.join(map(str, sorted(lengths)))}"
            raise ContractError(at, Words(found), "rows of equal lengths")
        shape.append(len(values[0]))
        values = list(chain.from_iterable(values))
    return values, shape


def parse_array(values: list[Any], shape: Sequence[int], datatype: str, at: str, finite: bool = True) -> Array:
    """Build an array of a V2 data type from flat values; `finite` for a format that has no others."""
    dtype = DTYPES[datatype]
    if len(shape) > MAX_DIMS:  # before the product, whose cost grows with the square of their number
        raise ContractError(at, Words(f"{len(shape)} dimensions"), f"at most {MAX_DIMS}")
    if len(values) != math.prod(shape):
        raise ContractError(at, Words(f"{len(values)} values"), f"{math.prod(shape)}, for shape {list(shape)}")
    allowed, expected = _ALLOWED["f" if is_float(dtype) else dtype.kind]
    if not allowed.issuperset(map(type, values)):
        index = next(index for index, value in enumerate(values) if type(value) not in allowed)
        raise ContractError(f"{at}[{index}]", values[index], f"{expected} ({datatype})")
    try:
        built = _build(values, dtype)
    except OverflowError:
        built = None
    if built is None or (finite and is_float(dtype) and not is_finite(built)):
        index = next(index for index, value in enumerate(values) if not _fits(value, dtype))
        raise ContractError(f"{at}[{index}]", values[index], f"a number that {datatype} can hold")
    return reshape(built, shape, at)


def parse_untyped(values: list[Any], shape: Sequence[int], at: str) -> Array:
    """Build an array of the narrowest type for all values: BOOL, INT64, FP64 or BYTES; FP64 if there are none."""
    kinds = set(map(type, values))
    if kinds == {int, float}:
        kinds = {float}
    if len(kinds) > 1 or not kinds <= _UNTYPED.keys():
        found = ", ".join(sorted("null" if kind is type(None) else kind.__name__ for kind in kinds))
        raise ContractError(at, Words(f"values of types {found}"), "numbers only or strings only")
    return parse_array(values, shape, _UNTYPED[next(iter(kinds), float)], at)


def _build(values: list[Any], dtype: np.dtype[Any]) -> Array:
    """Convert values of the right types; what is too large becomes infinity, or raises OverflowError."""
    if dtype.char in _PLAIN:
        return np.frombuffer(array.array(dtype.char, values), dtype)  # half the time of numpy's, which also warns
    with np.errstate(over="ignore"):
        # BF16 does not convert large integers, and raises another error for them than numpy's types.
        return np.array(values, dtype=np.float64).astype(dtype) if dtype.kind == "V" else np.array(values, dtype)


def _fits(value: Any, dtype: np.dtype[Any]) -> bool:
    if is_float(dtype):
        return bool(abs(value) <= largest(dtype))
    limits = np.iinfo(dtype)
    return bool(limits.min <= value <= limits.max)
