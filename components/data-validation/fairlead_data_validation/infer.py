"""Write a first suite from a dataset: what its columns are and the ranges of their values, for people to edit."""

import math
from typing import Any

import pandas as pd  # type: ignore[import-untyped, unused-ignore]

from .drift import LIMITS, TYPE, Drift, Reference, compare
from .tables import SPLIT, count_distinct

MAX_CATEGORIES = 20
_MIN_ROWS = 20
"""A column with fewer values is not called unique or a set of categories."""
_MARGIN = 0.1
"""How far a value may be outside of those that occur, as a share of their range."""
_MEAN_DEVIATIONS = 0.5
"""How far the mean may move, in standard deviations."""
Entry = dict[str, Any]


def infer_suite(table: pd.DataFrame, name: str, reference: Reference | None = None) -> dict[str, Any]:
    """Return a suite that the table meets; with a reference, it also expects that no column drifts from it."""
    entries = [
        _expect("expect_table_columns_to_match_set", column_set=[str(column) for column in table.columns]),
        _expect("expect_table_row_count_to_be_between", min_value=max(1, len(table) // 2)),
    ]
    for column in table.columns:
        entries += _infer_column(str(column), table[column])
        if reference and _is_comparable(column, table[column]):
            drift = Drift(column=str(column), statistic="psi", limit=LIMITS["psi"], reference=reference)
            # Of too few rows, the table itself would not meet it.
            if compare(table, drift, lambda _: table).success:
                entries.append(_expect(TYPE, **drift.model_dump(mode="json", exclude_none=True)))
    return {"name": name, "expectations": entries}


def _infer_column(name: str, column: pd.Series) -> list[Entry]:
    known = column.dropna()
    share = len(known) / max(1, len(column))
    entries = [
        _expect(
            "expect_column_values_to_not_be_null", column=name, **({"mostly": _round_down(share)} if share < 1 else {})
        )
    ]
    if not len(known):
        return []
    distinct = count_distinct(known)
    if distinct is None:
        return entries
    if len(column) >= _MIN_ROWS and distinct == len(known) and not pd.api.types.is_float_dtype(known):
        entries.append(_expect("expect_column_values_to_be_unique", column=name))
        return entries
    if pd.api.types.is_bool_dtype(known) or pd.api.types.is_complex_dtype(known):
        return entries
    if pd.api.types.is_numeric_dtype(known):
        return entries + _infer_numbers(name, known)
    if pd.api.types.is_string_dtype(known) and distinct <= min(MAX_CATEGORIES, max(2, len(known) // 2)):
        values = sorted(str(value) for value in known.unique())
        entries.append(_expect("expect_column_values_to_be_in_set", column=name, value_set=values))
    return entries


def _infer_numbers(name: str, known: pd.Series) -> list[Entry]:
    integer = pd.api.types.is_integer_dtype(known)
    # No value is rounded: a bound may be the value itself.
    low, high = (int(value) if integer else float(value) for value in (known.min(), known.max()))
    if integer and name.endswith("_nonfinite"):
        return [_expect("expect_column_values_to_be_between", column=name, max_value=high)]
    if integer and known.nunique() <= min(MAX_CATEGORIES, len(known) // 4):
        values = sorted(int(value) for value in known.unique())
        return [_expect("expect_column_values_to_be_in_set", column=name, value_set=values)]
    margin = int((high - low) * _MARGIN) if integer else (high - low) * _MARGIN
    # What is never negative, such as a length, stays so.
    floor = max(0, low - margin) if low >= 0 else low - margin
    entries = _infer_bounds("expect_column_values_to_be_between", name, floor, high + margin)
    mean, moved = float(known.mean()), float(known.std(ddof=0)) * _MEAN_DEVIATIONS
    # Less than this would be the error of the sum.
    if moved > abs(mean) * 1e-9:
        entries += _infer_bounds("expect_column_mean_to_be_between", name, mean - moved, mean + moved)
    return entries


def _infer_bounds(kind: str, name: str, low: float, high: float) -> list[Entry]:
    """Return the expectation of those bounds that are finite; none if infinite values leave no such bound."""
    bounds = {key: value for key, value in (("min_value", low), ("max_value", high)) if math.isfinite(value)}
    return [_expect(kind, column=name, **bounds)] if bounds else []


def _is_comparable(name: str, column: pd.Series) -> bool:
    """Return True for a column whose distribution says something: no keys, no texts that never repeat."""
    known = column.dropna()
    distinct = count_distinct(known)
    if name == SPLIT or distinct is None:
        return False
    if pd.api.types.is_float_dtype(known):
        return distinct > 1
    return 1 < distinct <= max(MAX_CATEGORIES, len(known) // 2)


def _expect(kind: str, **kwargs: Any) -> Entry:
    return {"type": kind, "kwargs": kwargs}


def _round_down(share: float) -> float:
    return max(0.0, int(share * 100 - 1) / 100)
