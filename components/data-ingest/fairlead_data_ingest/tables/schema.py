"""Checks of values: nulls, uniqueness, sets and ranges."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..problems import Problems
from ..recipe import Column
from .hashes import Hashes, hash_rows
from .rows import Rows


def check_schema(rows: Rows, columns: Mapping[str, Column], problems: Problems) -> None:
    """Add what is wrong with the values of columns that the schema names."""
    for name, desired in columns.items():
        column = rows.table[name]
        if not desired.nullable:
            rows.report(problems, name, _places(pc.is_null(column)), "a value")
        if desired.unique:
            rows.report(problems, name, find_repeated(hash_rows(rows.table, [name])).tolist(), "different values")
        if desired.values is not None:
            allowed = pa.array([str(value) for value in desired.values])
            outside = pc.invert(pc.is_in(pc.cast(column, pa.string()), allowed))
            outside = pc.and_(outside, pc.is_valid(column))
            rows.report(problems, name, _places(outside), f"one of {', '.join(map(str, desired.values[:10]))}")
        if desired.min is not None:
            rows.report(problems, name, _places(pc.less(column, desired.min)), f"at least {desired.min:g}")
        if desired.max is not None:
            rows.report(problems, name, _places(pc.greater(column, desired.max)), f"at most {desired.max:g}")


def require_values(rows: Rows, names: list[str], what: str, problems: Problems) -> None:
    """Add a line for each column that does not exist or lacks a value."""
    for name in names:
        if name not in rows.table.column_names:
            problems.add(f"{what}: no column {name}; got {', '.join(rows.table.column_names[:10])}")
        else:
            rows.report(problems, name, _places(pc.is_null(rows.table[name])), f"a value, for {what}")


def find_repeated(hashes: Hashes) -> NDArray[np.int64]:
    """Return the places of rows that are equal to an earlier one."""
    first = np.zeros(len(hashes), bool)
    first[np.unique(hashes, return_index=True)[1]] = True
    return np.flatnonzero(~first)


def _places(mask: pa.ChunkedArray) -> list[int]:
    found: list[int] = np.flatnonzero(np.asarray(pc.fill_null(mask, False))).tolist()
    return found
