"""Reads a CSV file once, to count its rows and to find what a training would stumble over."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from fairlead_artifacts import open_regular

from ..errors import Unusable
from .tables import Table, check_columns

MAX_LINE = 1 << 20
"""Characters of a line; more of them without an end are no CSV."""


def describe_csv(file: Path) -> Table:
    """Return the rows and columns of a CSV file: UTF-8, commas, a header, as many fields in each row.

    Raises Unusable naming the line.
    """
    with open_regular(file) as opened, io.TextIOWrapper(opened, encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(_lines(file, text), strict=True)
        try:
            header = next(reader, [])
            if not header:
                raise Unusable(f"{file}: is empty, expected a header and rows")
            columns = check_columns(file, header)
            rows = _count_rows(file, reader, len(columns))
        except csv.Error as error:
            raise Unusable(f"{file}: line {reader.line_num}: {error}, expected CSV") from None
        except UnicodeDecodeError:
            raise Unusable(f"{file}: after line {reader.line_num}: is not UTF-8, expected text in UTF-8") from None
    if not rows:
        raise Unusable(f"{file}: has a header and no rows, expected at least one")
    return Table(rows, columns)


def _count_rows(file: Path, reader: Iterator[list[str]], expected: int) -> int:
    rows = 0
    for row in reader:
        if len(row) == expected:
            rows += 1
        elif row:  # an empty line is no row
            line = getattr(reader, "line_num", 0)
            raise Unusable(f"{file}: line {line}: got {len(row)} fields, expected {expected} as in the header")
    return rows


def _lines(file: Path, text: IO[str]) -> Iterator[str]:
    """Yield the lines of a file; raises Unusable for one that does not end within bounds."""
    number = 0
    while line := text.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise Unusable(f"{file}: line {number}: longer than {MAX_LINE:,} characters, expected CSV")
        yield line
