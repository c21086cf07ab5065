"""Counting a tensor's values by the bins and categories of a reference, with numpy: for training data and requests."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from .reference import MAX_TEXT, Categories, Numbers, TensorReference
from .tensors import Array, is_float

Counts = NDArray[np.int64]
_CHUNK_VALUES = 1 << 16
"""As many numbers are counted at a time: a value of a byte needs 25 while it is."""


class Binning:
    """The bins of a tensor's columns."""

    def __init__(self, tensor: TensorReference) -> None:
        """Prepare to count the columns of a reference, whose own counts are ignored."""
        self.tensor = tensor
        self.sizes = [len(column.slots) for column in tensor.columns]
        """The number of slots of each column."""
        self.slots = sum(self.sizes)
        """The number of slots of all columns, which follow each other."""
        self.has_text = tensor.datatype == "BYTES"
        """Whether its values are texts."""
        self._width = tensor.width
        self._starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64)
        indexes = [column.index for column in tensor.columns]
        self._indexes = None if len(indexes) == tensor.width or tensor.width is None else np.array(indexes)
        self._numbers = _NumberBins(tensor, self._starts)
        self._categories = [
            (place, _CategoryBins(column))
            for place, column in enumerate(tensor.columns)
            if isinstance(column, Categories)
        ]

    def pick(self, array: Array) -> Array | None:
        """Return a copy of the columns, a row for each of the tensor's; None if it has other columns.

        Texts that are too long for a category are cut, so that memory is bounded.
        """
        if not array.size:
            return None
        if self._width is None:
            flat = array.reshape(-1, 1)
        elif array.ndim == 2:
            flat = array
        else:
            flat = array.reshape(array.shape[0] if array.ndim else 1, -1)
        if self._width is not None and flat.shape[1] != self._width:
            return None
        columns = flat.copy() if self._indexes is None else flat[:, self._indexes]
        if self.has_text:
            cut = [text[: MAX_TEXT + 1] for text in columns.ravel().tolist()]
            columns = np.array(cut, object).reshape(columns.shape)
        return columns

    def count(self, columns: Array) -> Counts:
        """Return how many values each slot has."""
        counts = np.zeros(self.slots, np.int64)
        if self._numbers.places.size:
            rows = max(1, _CHUNK_VALUES // columns.shape[1])
            for start in range(0, len(columns), rows):
                located = self._numbers.locate(columns[start : start + rows])
                counts += np.bincount(located.ravel(), minlength=self.slots)
        for place, bins in self._categories:
            start = self._starts[place]
            counts[start : start + self.sizes[place]] = bins.count(columns[:, place])
        return counts


class _NumberBins:
    """The bins of all columns of numbers, as matrices with a column for each."""

    def __init__(self, tensor: TensorReference, starts: Counts) -> None:
        found = [(place, column) for place, column in enumerate(tensor.columns) if isinstance(column, Numbers)]
        self.places = np.array([place for place, _ in found], np.int64)
        self._all = len(found) == len(tensor.columns)
        self._starts = starts[self.places]
        # a column without a number has no minimum, and any number is above its last edge
        self._minimum = np.array([-np.inf if column.minimum is None else column.minimum for _, column in found])
        self._last = np.array([len(column.slots) - 1 for _, column in found], np.int64)
        most = max((len(column.edges) for _, column in found), default=0)
        self._edges = np.full((most, len(found)), np.inf)
        for place, (_, column) in enumerate(found):
            self._edges[: len(column.edges), place] = column.edges

    def locate(self, columns: Array) -> Counts:
        """Return the slot of each value."""
        values = (columns if self._all else columns[:, self.places]).astype(np.float64)
        slots = np.ones(values.shape, np.int64)
        for edges in self._edges:
            slots += values > edges
        slots[values < self._minimum] = 0
        if is_float(columns.dtype):
            slots = np.where(np.isfinite(values), slots, self._last)
        return slots + self._starts


class _CategoryBins:
    """The values of a column."""

    def __init__(self, column: Categories) -> None:
        values: tuple[int | str, ...] = column.values
        self._places = {value: place for place, value in enumerate(values)}

    def count(self, values: Array) -> Counts:
        """Return how often each value occurs, and any other."""
        other = len(self._places)
        counts = np.zeros(other + 1, np.int64)
        for value, count in _count_distinct(values):
            counts[self._places.get(value, other)] += count
        return counts


def _count_distinct(values: Array) -> list[tuple[int | str, int]]:
    if values.dtype == object:
        return list(Counter(values.tolist()).items())
    distinct, counts = np.unique(values, return_counts=True)
    # in these types, BOOL counts as 0 and 1
    return list(zip(map(int, distinct), map(int, counts), strict=True))
