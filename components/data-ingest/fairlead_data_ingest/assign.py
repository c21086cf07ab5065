"""Decides which examples are kept, and which split each one is in; the same for rows of a table and for images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from fairlead_datasets.errors import Unusable
from numpy.typing import NDArray

from .problems import Problems
from .recipe import Action, Recipe
from .splits import Places, check_filled, find_leaks, split_by_class, split_by_hash, split_by_time
from .tables.hashes import Hashes, hash_rows
from .tables.rows import Rows
from .tables.schema import find_repeated, require_values

WHOLE = "data"
"""The one part of a dataset without splits."""


@dataclass(frozen=True)
class Assigned:
    """The examples that are kept, and their splits."""

    names: tuple[str, ...]
    kept: NDArray[np.int64]
    """The places of the examples in the source."""
    places: Places
    """The index of the split of each one that is kept."""
    dropped: int
    """How many were equal to another one."""

    def members(self, index: int) -> NDArray[np.int64]:
        """Return the places in the source of a split's examples."""
        members: NDArray[np.int64] = self.kept[self.places == index]
        return members


def assign(rows: Rows, identity: Sequence[str], recipe: Recipe) -> Assigned:
    """Assign examples, which are equal if they have equal values in the columns `identity`; raise Unusable."""
    hashes = hash_rows(rows.table, identity)
    kept = _drop_repeated(rows, hashes, recipe.duplicates)
    table = rows.table.take(pa.array(kept))
    split = recipe.split
    if split is None:
        return Assigned((WHOLE,), kept, np.zeros(len(kept), np.int64), len(rows) - len(kept))
    named = [name for name in (*split.group, split.stratify, split.time.column if split.time else None) if name]
    problems = Problems()
    require_values(rows, named, "split", problems)
    problems.raise_any()
    units = hash_rows(table, split.group) if split.group else hashes[kept]
    names, places = list(split.shares), split_by_hash(units, split.shares, split.seed)
    if split.time:
        names, places = split_by_time(table[split.time.column], split.time, split.shares)
        units = hash_rows(table, [split.time.column])
    elif split.stratify:
        places = split_by_class(units, table[split.stratify].to_pylist(), split.shares, split.seed)
    check_filled(names, places)
    for found in (units, hashes[kept]):
        if leaks := find_leaks(found, places):
            raise Unusable(
                f"split: {leaks} groups of equal examples would be in several splits, "
                "because they are in different groups; duplicates: drop leaves one of each"
            )
    return Assigned(tuple(names), kept, places, len(rows) - len(kept))


def _drop_repeated(rows: Rows, hashes: Hashes, action: Action) -> NDArray[np.int64]:
    """Return the places of the examples to keep."""
    repeated = find_repeated(hashes) if action != "keep" else np.zeros(0, np.int64)
    if len(repeated) and action == "reject":
        names, originals = [], {int(value): place for place, value in reversed(list(enumerate(hashes)))}
        for place in repeated[:3].tolist():
            (file, row), (other, first) = rows.locate(place), rows.locate(originals[int(hashes[place])])
            names.append(f"{file} row {row} equals {'' if other == file else other + ' '}row {first}")
        more = f" and {len(repeated) - 3:,} more" if len(repeated) > 3 else ""
        raise Unusable(f"{'; '.join(names)}{more}; expected different ones, or duplicates: drop or keep")
    return np.setdiff1d(np.arange(len(hashes)), repeated)
