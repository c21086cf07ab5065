"""The counts of one model, in slices of time. Used by one thread alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from fairlead_contracts.binning import Binning
from fairlead_contracts.monitor import ColumnFacts, TensorFacts
from fairlead_contracts.reference import Reference, Side, TensorReference
from fairlead_contracts.tensors import Array

SLICES = 8
"""The parts of a window: the one that is filled is beside them, so that counts are never of less than the window."""
Key = tuple[Side, str]
"""A tensor."""


@dataclass
class Batch:
    """Rows that wait to be counted, of one slice."""

    slice: int
    rows: int = 0
    size: int = 0
    """In bytes."""
    parts: dict[Key, list[Array]] = field(default_factory=dict)


@dataclass
class _Slice:
    counts: Mapping[Key, "np.ndarray[tuple[int], np.dtype[np.int64]]"]
    rows: int = 0


class ModelCounts:
    """What was counted of a model."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        sides: tuple[tuple[Literal["input", "output"], Sequence[TensorReference]], ...]
        sides = (("input", reference.inputs), ("output", reference.outputs))
        self.binnings: Mapping[Key, Binning] = {
            (side, tensor.name): Binning(tensor) for side, tensors in sides for tensor in tensors
        }
        self.total_rows = 0
        """All rows since the start."""
        self._slices: dict[int, _Slice] = {}

    def add(self, batch: Batch) -> None:
        """Count rows, and forget what is older than a window."""
        if (found := self._slices.get(batch.slice)) is None:
            zero = {key: np.zeros(binning.slots, np.int64) for key, binning in self.binnings.items()}
            found = self._slices[batch.slice] = _Slice(zero)
            self._forget(batch.slice)
        for key, parts in batch.parts.items():
            counts = found.counts[key]
            counts += self.binnings[key].count(np.concatenate(parts) if len(parts) > 1 else parts[0])
        found.rows += batch.rows
        self.total_rows += batch.rows

    def sum_window(self, now: int) -> tuple[int, tuple[TensorFacts, ...]]:
        """Return the rows and the counts of the window that ends in a slice."""
        self._forget(now)
        slices = list(self._slices.values())
        tensors = tuple(_describe(key, binning, slices) for key, binning in self.binnings.items())
        return sum(each.rows for each in slices), tensors

    def _forget(self, now: int) -> None:
        for old in [number for number in self._slices if number < now - SLICES]:
            del self._slices[old]


def _describe(key: Key, binning: Binning, slices: Sequence[_Slice]) -> TensorFacts:
    counts = sum((each.counts[key] for each in slices), np.zeros(binning.slots, np.int64)).tolist()
    columns, start = [], 0
    for column, size in zip(binning.tensor.columns, binning.sizes, strict=True):
        own = tuple(counts[start : start + size])
        columns.append(ColumnFacts(index=column.index, reference=column.slots, counts=own))
        start += size
    return TensorFacts(side=key[0], name=key[1], columns=tuple(columns))
