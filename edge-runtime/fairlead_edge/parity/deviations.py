"""Differences of output values in standard deviations of the source's, column by column.

An output has columns along each of its axes but the first, which counts the examples: a table has those of its last
axis, pictures have channels, rows and columns. Each is judged by its own deviation, so that no column with another unit
or offset hides what is lost of the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .running import Answers, Floats

_NOISE = 4 * float(np.finfo(np.float32).eps)
"""A column whose deviation is a smaller share of its largest value is constant: the rest is rounding."""
_LEAST = 0.005
"""Ten times the largest error of rounding to 16 bits, as a share of a value."""
_SHARE = 0.05
"""A fraction of what tells classes, or the other columns, apart."""


@dataclass(frozen=True)
class Columns:
    """The columns of one axis of an output."""

    axis: int
    scales: Floats
    """What a difference in each of them is divided by."""


Scales = Mapping[int, tuple[Columns, ...]]
"""The columns of each output, by its place."""


def find_scales(source: Answers) -> Scales:
    """Return the deviation of each column of a source's outputs, with lower limits for columns that hardly vary.

    Scores: a twentieth of the median distance of the best class to the next, because less tells no classes apart.
    Other outputs: a two-hundredth of the column's largest absolute value, because 16 bits resolve little more. A
    constant column is judged by its size, one of zeros by a twentieth of the median deviation of the columns that vary.
    """
    best = np.sort(source.scores, axis=1)
    with np.errstate(over="ignore"):
        margin = _SHARE * float(np.median(best[:, -1] - best[:, -2]))
    return {
        place: tuple(
            Columns(axis, _find_scales(values, axis, margin if place == 0 else None))
            for axis in range(1, values.ndim if values.size else 0)
        )
        for place, values in source.outputs.items()
    }


def relate(differences: Mapping[int, Floats], scales: Scales) -> float:
    """Return the mean difference in the unit of its column, of the column for which it is the largest."""
    found = [_relate(differences[place], each) for place, columns in scales.items() for each in columns]
    return float(np.max(found))  # which is NaN if one of them is


def _find_scales(values: Floats, axis: int, margin: float | None) -> Floats:
    rest = _find_rest(values, axis)
    sizes = np.abs(values).max(axis=rest)
    # squares of large values would overflow
    deviations: Floats = (values / np.expand_dims(np.where(sizes > 0, sizes, 1), rest)).std(axis=rest) * sizes
    varying = deviations > _NOISE * sizes
    usual = float(np.median(deviations[varying])) if varying.any() else 0.0
    least = _LEAST * sizes if margin is None else np.full_like(sizes, margin)
    constant = np.maximum(np.where(sizes > 0, sizes, _SHARE * usual), margin or 0)
    return np.where(varying, np.maximum(deviations, least), constant)


def _relate(differences: Floats, columns: Columns) -> float:
    """Return the largest quotient; infinite for a difference of what has no finite deviation but 0."""
    if not differences.size:
        return 0.0
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        means = np.atleast_1d(differences.mean(axis=_find_rest(differences, columns.axis)))
        # of one example at a time, an axis may have another length, or be missing
        scales = columns.scales if len(columns.scales) == len(means) else columns.scales.min()
        usable = np.isfinite(scales) & (scales > 0)
        return float(np.where(means == 0, 0.0, np.where(usable, means / scales, np.inf)).max())


def _find_rest(values: Floats, axis: int) -> tuple[int, ...]:
    return tuple(other for other in range(values.ndim) if other != axis)
