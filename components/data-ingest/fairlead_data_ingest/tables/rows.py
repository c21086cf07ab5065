"""The rows of a source: one table, and which file each row is from."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pyarrow as pa

from ..problems import Problems


@dataclass(frozen=True)
class Rows:
    """A table, put together from files."""

    table: pa.Table
    names: tuple[str, ...]
    """The files' names; one name for a query."""
    starts: tuple[int, ...]
    """Where the rows of each file begin."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.table.num_rows)

    def with_table(self, table: pa.Table) -> "Rows":
        """Return the rows with another table of as many rows."""
        return replace(self, table=table)

    def locate(self, place: int) -> tuple[str, int]:
        """Return the file of a row, and its number there, from 1."""
        index = bisect_right(self.starts, place) - 1
        return self.names[index], place - self.starts[index] + 1

    def report(
        self,
        problems: Problems,
        column: str,
        places: Sequence[int],
        expected: str,
        values: pa.ChunkedArray | None = None,
    ) -> None:
        """Add a line for the rows at some places, by file."""
        found = self.table[column] if values is None else values
        for name, start, end in self._spans:
            inside = [place for place in places if start <= place < end]
            if inside:
                shown = [found[place].as_py() for place in inside[:5]]
                problems.add_rows(f"{name}: column {column}", [place - start + 1 for place in inside], shown, expected)

    @cached_property
    def _spans(self) -> list[tuple[str, int, int]]:
        return list(zip(self.names, self.starts, [*self.starts[1:], len(self)], strict=True))
