"""Slices of a split: the examples that an array of the dataset gives the same name, and the gap between them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fairlead_contracts.errors import shorten
from fairlead_datasets.archives import read_arrays
from fairlead_datasets.errors import Unusable
from numpy.typing import NDArray

from .metrics import find_interval, measure
from .predictions import Predictions

MAX_SLICES, MAX_NAME = 200, 64


@dataclass(frozen=True)
class SliceFigures:
    """The success metric on one slice."""

    array: str
    """The array that names it."""
    name: str
    examples: int
    value: float | None
    """None if its examples do not define the metric."""
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Gap:
    """How far the worst and the best slice that an array names are apart."""

    gap: float
    worst: str
    best: str


def measure_slices(
    file: Path, arrays: Iterable[str], metric: str, predictions: Predictions
) -> tuple[SliceFigures, ...]:
    """Return the metric on each slice that the arrays of an .npz file name; raise Unusable."""
    names = list(arrays)
    if not names:
        return ()
    contents = read_arrays(file)
    figures = [
        SliceFigures(array, name, len(part), measure(metric, part), find_interval(metric, part))
        for array in names
        for name, part in _select(file, array, contents.get(array), predictions)
    ]
    if len(figures) > MAX_SLICES:
        raise Unusable(f"{file.name}: got {len(figures)} slices by {', '.join(names)}, expected at most {MAX_SLICES}")
    return tuple(figures)


def find_gaps(slices: Iterable[SliceFigures], min_examples: int) -> dict[str, Gap]:
    """Return by array how far the worst of its slices is from the best; small slices show too little."""
    by_array: dict[str, list[tuple[float, str]]] = {}
    for each in slices:
        if each.value is not None and each.examples >= min_examples:
            by_array.setdefault(each.array, []).append((each.value, each.name))
    return {array: _measure_gap(found) for array, found in by_array.items()}


def _measure_gap(found: list[tuple[float, str]]) -> Gap:
    found.sort(key=lambda each: each[0])  # among equals, the order of the slices stays
    (low, worst), (high, best) = found[0], found[-1]
    return Gap(round(high - low, 6), worst, best)


def _select(
    file: Path, array: str, values: NDArray[Any] | None, predictions: Predictions
) -> Iterator[tuple[str, Predictions]]:
    at = f"{file.name}: {shorten(array)}"
    if values is None:
        raise Unusable(f"{at}: got no such array, expected one that names the slice of each example")
    if values.shape != (len(predictions),) or values.dtype.kind not in "biuU":
        got = f"{values.dtype} {list(values.shape)}"
        raise Unusable(f"{at}: got {got}, expected {len(predictions)} names or integers")
    for value in np.unique(values):
        name = str(value)
        if len(name) > MAX_NAME or not name.isprintable():
            raise Unusable(f"{at}: got {shorten(name)}, expected at most {MAX_NAME} printable characters")
        yield name, predictions.select(values == value)
