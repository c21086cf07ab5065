"""What the model process runs, in memory that outlives it: who replaces the process can say where it ended."""

import mmap
import os

_BYTES = mmap.PAGESIZE


class Board:
    """The board of one model process, as the other process reads it."""

    def __init__(self) -> None:
        self.number = os.memfd_create("fairlead-board")
        """The file descriptor, which the model process inherits."""
        os.ftruncate(self.number, _BYTES)

    def list_running(self) -> list[int]:
        """Return the numbers of the places where something runs, or ran when the process ended."""
        # read rather than mapped: the model process cannot end this one by making the file shorter
        content = os.pread(self.number, _BYTES, 0)
        counts = memoryview(content[: len(content) // 4 * 4]).cast("I")
        return [number for number, count in enumerate(counts) if count]

    def close(self) -> None:
        """Release the memory."""
        os.close(self.number)


class Places:
    """The board in the model process, where each place, such as a node, counts its runs.

    Only the event loop changes the counts, so that they need no lock.
    """

    def __init__(self, number: int | None = None) -> None:
        """Write to the board with a file descriptor; without one, nobody reads it."""
        self._counts = memoryview(mmap.mmap(-1 if number is None else number, _BYTES)).cast("I")
        self.names: list[str] = []

    def add(self, name: str) -> "Place":
        """Return a new place; there can be a thousand."""
        self.names.append(name)
        return Place(self._counts, len(self.names) - 1)


class Place:
    """A place where something runs during a `with` block."""

    __slots__ = ("_counts", "_number")

    def __init__(self, counts: "memoryview[int]", number: int) -> None:
        self._counts, self._number = counts, number

    def __enter__(self) -> None:
        self._counts[self._number] += 1

    def __exit__(self, *_: object) -> None:
        self._counts[self._number] -= 1
