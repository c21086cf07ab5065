"""Which split each example is in: by hash, with equal shares of each class, or by time.

Examples with the same hash (equal ones, or those of a group) are a unit, which is never divided. By hash alone, the
split of a unit depends on nothing but itself and the seed: it stays where it is when data grow, while types stay.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from fairlead_datasets.errors import Unusable
from numpy.typing import NDArray

from .recipe import Time
from .tables.hashes import Hashes, to_shares
from .tables.types import convert, name_type

Places = NDArray[np.int64]
"""The index of each example's split."""


def split_by_hash(units: Hashes, shares: Mapping[str, float], seed: int) -> Places:
    """Return the splits of examples whose shares hold on average."""
    return _cut(to_shares(units, seed), shares)


def split_by_class(units: Hashes, labels: Sequence[object], shares: Mapping[str, float], seed: int) -> Places:
    """Return splits that have each class in these shares, as nearly as units can be divided.

    A unit with several classes counts as its most frequent one. Raises Unusable for a class with too few units.
    """
    distinct, inverse, counts = np.unique(units, return_inverse=True, return_counts=True)
    names, codes = np.unique(np.asarray([str(label) for label in labels]), return_inverse=True)
    of_unit = _find_main_class(inverse, codes, len(distinct), len(names))
    order = to_shares(distinct, seed)
    places = np.zeros(len(distinct), np.int64)
    for code, name in enumerate(names):
        members = np.flatnonzero(of_unit == code)
        members = members[np.argsort(order[members])]
        passed = np.cumsum(counts[members]) - counts[members] / 2
        places[members] = _cut(passed / max(1, counts[members].sum()), shares)
        missing = [split for index, split in enumerate(shares) if not (places[members] == index).any()]
        if len(members) and missing:
            raise Unusable(
                f"split.stratify: class {name} has {len(members)} groups of rows, of which {', '.join(missing)} would "
                f"have none; expected at least one for each of {', '.join(shares)}"
            )
    return places[inverse]


def split_by_time(column: pa.ChunkedArray, time: Time, shares: Mapping[str, float]) -> tuple[list[str], Places]:
    """Return the names of splits, and the splits of rows: earlier rows first, and rows of one time together."""
    values = column.combine_chunks()
    if time.starts:
        names = ["train", *time.starts]
        begins = pa.chunked_array([pa.array(list(time.starts.values()))])
        kind = name_type(column.type)
        if kind not in _NUMBERS:
            raise _wrong_type(column)
        converted = convert(begins, kind)
        if converted.wrong or converted.column.to_pylist() != sorted(converted.column.to_pylist()):
            starts = list(time.starts.values())
            raise Unusable(f"split.time.starts: got {starts}, expected ascending values like those of {time.column}")
        edges = np.asarray(pc.cast(converted.column, _NUMBERS[kind]))
        return names, np.searchsorted(edges, _to_numbers(values), side="right")
    numbers = _to_numbers(values)
    _, inverse, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    passed = (np.cumsum(counts) - counts / 2) / len(numbers)
    return list(shares), _cut(passed, shares)[inverse]


_NUMBERS = {"timestamp": pa.int64(), "date": pa.int32(), "integer": pa.int64(), "number": pa.float64()}


def _to_numbers(values: pa.Array) -> NDArray[np.float64] | NDArray[np.int64]:
    if pa.types.is_timestamp(values.type):
        return np.asarray(pc.cast(values, pa.int64()))
    if pa.types.is_date(values.type):
        return np.asarray(pc.cast(values, pa.int32())).astype(np.int64)
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        return np.asarray(values)
    raise _wrong_type(values)


def _wrong_type(values: pa.Array | pa.ChunkedArray) -> Unusable:
    return Unusable(f"split.time.column: has the type {values.type}, expected dates, times or numbers")


def find_leaks(units: Hashes, places: Places) -> int:
    """Return the number of units that are in more than one split."""
    pairs = np.unique(np.stack([units, places.astype(np.uint64)]), axis=1)
    return int(pairs.shape[1] - len(np.unique(units)))


def check_filled(names: Sequence[str], places: Places) -> None:
    """Raise Unusable for a split without examples."""
    counts = np.bincount(places, minlength=len(names))
    if empty := [name for name, count in zip(names, counts, strict=True) if not count]:
        raise Unusable(
            f"split: {', '.join(empty)} would be empty: {int(counts.sum())} examples; use larger shares or fewer splits"
        )


def _cut(positions: NDArray[np.float64], shares: Mapping[str, float]) -> Places:
    edges = np.cumsum(list(shares.values()))[:-1]
    return np.searchsorted(edges, positions, side="right").astype(np.int64)


def _find_main_class(inverse: NDArray[np.int64], codes: NDArray[np.int64], units: int, classes: int) -> Places:
    """Return the most frequent class of each unit, of equally frequent ones the first."""
    pairs, counts = np.unique(inverse.reshape(-1) * classes + codes.reshape(-1), return_counts=True)
    best = np.zeros(units, np.int64)
    # The last assignment counts: ascending by number, and of equal numbers the first class last.
    order = np.lexsort((-pairs, counts))
    best[pairs[order] // classes] = pairs[order] % classes
    return best
