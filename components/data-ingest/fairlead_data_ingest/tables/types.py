"""Columns of the types that recipes know: parsed from texts, cast from what a file or database has, or guessed."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

TYPES = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "text": pa.string(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}
EXPECTED = {
    "integer": "an integer",
    "number": "a finite number, an integer one exact as a 64-bit float",
    "text": "a text",
    "boolean": "true or false",
    "date": "a date, YYYY-MM-DD",
    "timestamp": "a date and time, YYYY-MM-DD HH:MM:SS",
}
MAX_WRONG = 10_000
_GUESSES = {
    "integer": r"^\s*-?(0|[1-9][0-9]*)\s*$",
    "number": r"^\s*-?(0|[1-9][0-9]*)?(\.[0-9]+|\.)?([eE][+-]?[0-9]+)?\s*$",
    "date": "",
    "timestamp": "",
    "boolean": r"(?i)^\s*(true|false)\s*$",
}
"""The types that are guessed, and how their texts look: leading zeros, signs before them and hex are no numbers."""
_ANY_NUMBER = r"^\s*[+-]?(0[xX][0-9a-fA-F]+|[0-9]*\.?[0-9]*([eE][+-]?[0-9]+)?)\s*$"
_LONG = r"^[+-]?[0-9]{16,}(\.[0-9]*)?$"
"""Numbers that a 64-bit float may not hold."""


@dataclass(frozen=True)
class Converted:
    """A column of a type; where it could not be converted, `wrong` has the places and the column is as it was."""

    column: pa.ChunkedArray
    wrong: tuple[int, ...] = ()


def convert(column: pa.ChunkedArray, kind: str) -> Converted:
    """Return a column as a type of recipes."""
    column = _decode(column)
    cast = _cast(column, kind)
    if cast is not None:
        return Converted(cast)
    wrong: list[int] = []
    _find_wrong(column, kind, 0, wrong)
    return Converted(column, tuple(wrong))


def _find_wrong(column: pa.ChunkedArray, kind: str, start: int, wrong: list[int]) -> None:
    """Append the places of values that are not of the type, the first ones of them, by halving."""
    if len(wrong) >= MAX_WRONG or not len(column) or _cast(column, kind) is not None:
        return
    if len(column) == 1:
        wrong.append(start)
        return
    half = len(column) // 2
    _find_wrong(column.slice(0, half), kind, start, wrong)
    _find_wrong(column.slice(half), kind, start + half, wrong)


def guess(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of texts as the first type that all of its values have; without values, as texts."""
    if column.null_count == len(column):
        return column
    for kind, pattern in _GUESSES.items():
        fits = pc.all(pc.match_substring_regex(column, pattern), min_count=0).as_py()
        if fits and (cast := _cast(column, kind)) is not None:
            return cast
    return column


def find_strays(column: pa.ChunkedArray) -> list[int]:
    """Return the places of texts that are no numbers in any notation, if more than half of the values are numbers."""
    numbers = pc.sum(pc.match_substring_regex(column, _GUESSES["number"])).as_py() or 0
    if 2 * numbers <= len(column) - column.null_count:
        return []
    strays: list[int] = pc.indices_nonzero(pc.invert(pc.match_substring_regex(column, _ANY_NUMBER))).to_pylist()
    return strays


def is_exact(text: str) -> bool:
    """Return whether a 64-bit float holds an integer number; fractions are rounded."""
    number = Decimal(text)
    return abs(number) <= 1 << 53 or number == Decimal(float(number))


def normalize(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Return a column that already has a type as the recipes' type; None for one that no dataset can have."""
    column = _decode(column)
    kind = name_type(column.type)
    return column if pa.types.is_null(column.type) else None if kind is None else _cast(column, kind)


def name_type(kind: pa.DataType) -> str | None:
    """Return the recipe's name of an Arrow type; None for one that no dataset can have."""
    return next((name for fits, name in _NAMES if fits(kind)), None)


_NAMES: tuple[tuple[Callable[[pa.DataType], bool], str], ...] = (
    (pa.types.is_integer, "integer"),
    (lambda kind: pa.types.is_floating(kind) or pa.types.is_decimal(kind), "number"),
    (lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind), "text"),
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_date, "date"),
    (pa.types.is_timestamp, "timestamp"),
)


def _decode(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.cast(column, column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _cast(column: pa.ChunkedArray, kind: str) -> pa.ChunkedArray | None:
    """Return the column as a type, None if a value is not of it."""
    target = TYPES[kind]
    text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    try:
        if not text:
            cast = _cast_values(column, kind, target)
        elif kind == "text":
            return pc.cast(column, target)
        else:
            trimmed = pc.utf8_trim_whitespace(column)
            cast = _cast_time(trimmed) if kind == "timestamp" else _parse(trimmed, kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return None
    finite = kind != "number" or pc.all(pc.is_finite(cast), min_count=0).as_py()
    return cast if finite else None


def _cast_values(column: pa.ChunkedArray, kind: str, target: pa.DataType) -> pa.ChunkedArray:
    """Cast what is no text: numbers to numbers, times to times."""
    found = name_type(column.type)
    if found == kind or (found, kind) in (("integer", "number"), ("date", "timestamp"), ("boolean", "integer")):
        if pa.types.is_decimal(column.type):
            return _parse(pc.cast(column, pa.string()), kind)
        if kind == "number":
            column = pc.if_else(pc.is_null(column, nan_is_null=True), None, column)
        if kind == "timestamp" and getattr(column.type, "tz", None):
            column = pc.cast(column, pa.timestamp("us", "UTC"))
        return pc.cast(column, target)
    raise pa.ArrowTypeError(found)


def _parse(texts: pa.ChunkedArray, kind: str) -> pa.ChunkedArray:
    """Parse texts; raise ArrowInvalid for integers that would be other ones."""
    if kind == "number":
        long = texts.filter(pc.fill_null(pc.match_substring_regex(texts, _LONG), False))
        if not all(map(is_exact, pc.unique(long).to_pylist())):
            raise pa.ArrowInvalid("is not exact")
    return pc.cast(texts, TYPES[kind])


def _cast_time(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Parse times, with a zone or without; the result is UTC or local, as it is written."""
    try:
        return pc.cast(column, TYPES["timestamp"])
    except pa.ArrowInvalid:
        return pc.cast(pc.cast(column, pa.timestamp("us", "UTC")), TYPES["timestamp"])
