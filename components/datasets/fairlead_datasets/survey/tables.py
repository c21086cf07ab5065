"""What is known of a table: its rows and columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import Unusable

MAX_COLUMNS = 10_000


@dataclass(frozen=True)
class Table:
    """The size of a table."""

    rows: int
    columns: tuple[str, ...]


def check_columns(file: Path, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the columns; raises Unusable for one that is empty or that two columns have."""
    if len(columns) > MAX_COLUMNS:
        raise Unusable(f"{file}: {len(columns):,} columns, expected at most {MAX_COLUMNS:,}")
    seen: set[str] = set()
    for number, name in enumerate(columns, start=1):
        if not name.strip():
            raise Unusable(f"{file}: column {number} has no name, expected a header with a name for each column")
        if name in seen:
            raise Unusable(f"{file}: two columns are named {name!r:.80}, expected different names")
        seen.add(name)
    return tuple(columns)
