"""Write a first suite from a dataset: what its columns are and the ranges of their values, for people to edit."""

from typing import Any

import pandas as pd  # type: ignore[import-untyped, unused-ignore]

from .drift import LIMITS, TYPE, Reference
from .tables import SPLIT

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
            kwargs = {"statistic": "psi", "limit": LIMITS["psi"], "reference": reference.to_json()}
            entries.append(_expect(TYPE, column=str(column), **kwargs))
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
    if len(column) >= _MIN_ROWS and known.is_unique and not pd.api.types.is_float_dtype(known):
        entries.append(_expect("expect_column_values_to_be_unique", column=name))
        return entries
    if pd.api.types.is_bool_dtype(known):
        return entries
    if pd.api.types.is_numeric_dtype(known):
        return entries + _infer_numbers(name, known)
    if pd.api.types.is_string_dtype(known) and known.nunique() <= min(MAX_CATEGORIES, max(2, len(known) // 2)):
        values = sorted(str(value) for value in known.unique())
        entries.append(_expect("expect_column_values_to_be_in_set", column=name, value_set=values))
    return entries


def _infer_numbers(name: str, known: pd.Series) -> list[Entry]:
    low, high, integer = float(known.min()), float(known.max()), pd.api.types.is_integer_dtype(known)
    if name.endswith("_nonfinite"):
        return [_expect("expect_column_values_to_be_between", column=name, max_value=int(high))]
    if integer and known.nunique() <= min(MAX_CATEGORIES, len(known) // 4):
        values = sorted(int(value) for value in known.unique())
        return [_expect("expect_column_values_to_be_in_set", column=name, value_set=values)]
    margin, deviation = (high - low) * _MARGIN, float(known.std(ddof=0))
    # What is never negative, such as a length, stays so.
    floor = max(0.0, low - margin) if low >= 0 else low - margin
    bounds = {"min_value": floor, "max_value": high + margin}
    entries = [_expect("expect_column_values_to_be_between", column=name, **bounds)]
    mean = float(known.mean())
    moved = deviation * _MEAN_DEVIATIONS
    if moved:
        bounds = {"min_value": mean - moved, "max_value": mean + moved}
        entries.append(_expect("expect_column_mean_to_be_between", column=name, **bounds))
    return entries


def _is_comparable(name: str, column: pd.Series) -> bool:
    """Return True for a column whose distribution says something: no keys, no texts that never repeat."""
    known = column.dropna()
    if name == SPLIT or not len(known):
        return False
    if pd.api.types.is_float_dtype(known):
        return bool(known.nunique() > 1)
    return bool(1 < known.nunique() <= max(MAX_CATEGORIES, len(known) // 2))


def _expect(kind: str, **kwargs: Any) -> Entry:
    rounded = {key: _round(value) if isinstance(value, float) else value for key, value in kwargs.items()}
    return {"type": kind, "kwargs": rounded}


def _round(value: float) -> float:
    return float(f"{value:.12g}")


def _round_down(share: float) -> float:
    return max(0.0, int(share * 100 - 1) / 100)
