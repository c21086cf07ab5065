"""What is wrong with data, collected: one line for each problem, with the first rows that have it and their number."""

from collections.abc import Sequence

from fairlead_contracts.errors import shorten
from fairlead_datasets.errors import Unusable

MAX_LINES = 20
_MAX_ROWS = 3


class Problems:
    """Lines of an error; the first ones are kept."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._more = 0

    def add(self, line: str) -> None:
        """Add a line."""
        if len(self._lines) < MAX_LINES:
            self._lines.append(line)
        else:
            self._more += 1

    def add_rows(self, at: str, rows: Sequence[int], values: Sequence[object], expected: str) -> None:
        """Add a line for rows, counted from 1 without the header, and the values that they have."""
        shown = ", ".join(
            f"row {row}: {shorten(value)}" for row, value in list(zip(rows, values, strict=False))[:_MAX_ROWS]
        )
        more = f" and {len(rows) - _MAX_ROWS:,} more" if len(rows) > _MAX_ROWS else ""
        self.add(f"{at}: got {shown}{more}; expected {expected}")

    def raise_any(self) -> None:
        """Raise Unusable with all lines, if there are any."""
        if self._lines:
            more = [f"and {self._more:,} more problems"] if self._more else []
            raise Unusable("\n".join([*self._lines, *more]))
