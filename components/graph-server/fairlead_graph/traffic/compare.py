"""How the answer to a copy compares with the live one. It needs numpy, which servers without mirrors do not."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from fairlead_contracts.errors import ContractError
from fairlead_contracts.tensors import Array, widen
from fairlead_serving.compression import decompress
from fairlead_serving.errors import BadRequest

from ..protocols.names import SELDON, TENSORFLOW, V2
from .answers import Answered, Body, read_seldon, read_tensorflow, read_v2
from .mirror import COMPARED_BYTES, Incomparable

_INLINE_BYTES = 1 << 14
"""What is shorter is compared in the event loop: a change of threads takes longer."""

Read = Callable[[Body, int], Answered]
READERS: Mapping[str, Read] = {V2: read_v2, SELDON: read_seldon, TENSORFLOW: read_tensorflow}
"""How the answers of a protocol are read."""


async def unpack(live: Body) -> Body:
    """Return the live answer after decompression; raise Incomparable if it is too large, before a copy is sent."""
    if not live.encoding:
        return live
    try:
        content = await asyncio.to_thread(decompress, live.content, live.encoding, COMPARED_BYTES)
    except BadRequest:
        raise Incomparable from None
    return Body(content, live.header_bytes)


async def compare(read: Read, live: Body, copy: Body) -> tuple[bool, float]:
    """Return whether two answers agree, and the largest distance of two numbers; raise Incomparable."""
    if len(live.content) + len(copy.content) < _INLINE_BYTES and not (live.encoding or copy.encoding):
        return compare_now(read, live, copy)
    return await asyncio.to_thread(compare_now, read, live, copy)


def compare_now(read: Read, live: Body, copy: Body) -> tuple[bool, float]:
    """Do the same at once."""
    try:
        one = read(live, COMPARED_BYTES)
    except (ContractError, BadRequest):
        raise Incomparable from None
    try:
        other = read(copy, 2 * COMPARED_BYTES)
    except (ContractError, BadRequest):
        return False, 0.0
    if one.tensors.keys() != other.tensors.keys():
        return False, 0.0
    results = [compare_arrays(array, other.tensors[name]) for name, array in one.tensors.items()]
    agreed = _are_equal(one.rest, other.rest) and all(agreed for agreed, _ in results)
    return agreed, max((distance for _, distance in results), default=0.0)


def _are_equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except RecursionError:  # JSON may be nested as deeply as Python calls functions
        return False


def compare_arrays(one: Array, other: Array) -> tuple[bool, float]:
    """Return whether two tensors agree, and the largest distance between two of their numbers.

    Floats with several columns are scores of classes, and agree if each row has its largest value at the same place.
    Other floats agree if they are equal but for rounding, and all else if it is equal.
    """
    if one.dtype != other.dtype or one.shape != other.shape:
        return False, 0.0
    one, other = widen(one), widen(other)
    if one.dtype.kind in "bO" or not one.size:
        return bool((one == other).all()), 0.0
    distance = _measure(one, other)
    if one.dtype.kind != "f":
        return bool((one == other).all()), distance
    if (np.isnan(one) != np.isnan(other)).any():
        return False, distance
    if one.ndim > 1 and one.shape[-1] > 1:
        return bool((one.argmax(-1) == other.argmax(-1)).all()), distance
    return bool(np.isclose(one, other, equal_nan=True).all()), distance


def _measure(one: Array, other: Array) -> float:
    """Return the largest distance; not-a-number and infinity are at none."""
    with np.errstate(all="ignore"):
        distances = np.abs(one.astype(np.float64) - other.astype(np.float64))
    return float(distances.max(initial=0.0, where=np.isfinite(distances)))
