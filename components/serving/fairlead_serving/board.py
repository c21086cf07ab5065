"""What the serving process and its parent both see: a page of memory that they share."""

import mmap

_BEATS, _IN_FLIGHT, _LOADING = range(3)
_NUMBERS, _CAUSE_BYTES = 8, 512


class Board:
    """The state of the serving process, which its parent reads when the process is dead, or seems to be.

    The process writes it without a system call. It has to exist before the process is forked.
    """

    def __init__(self) -> None:
        page = memoryview(mmap.mmap(-1, mmap.PAGESIZE))
        self._numbers = page[: 8 * _NUMBERS].cast("q")
        self._cause = page[8 * _NUMBERS : 8 * _NUMBERS + _CAUSE_BYTES]

    def clear(self) -> None:
        """Forget the last process."""
        for index in range(_NUMBERS):
            self._numbers[index] = 0
        self._cause[:] = bytes(_CAUSE_BYTES)

    def beat(self) -> None:
        """Show that the event loop goes on."""
        self._numbers[_BEATS] += 1

    @property
    def beats(self) -> int:
        """Return how often the event loop has shown that it goes on."""
        return self._numbers[_BEATS]

    @property
    def in_flight(self) -> int:
        """Return how many requests are in flight."""
        return self._numbers[_IN_FLIGHT]

    @in_flight.setter
    def in_flight(self, count: int) -> None:
        self._numbers[_IN_FLIGHT] = count

    @property
    def loading(self) -> bool:
        """Return True while the process loads the models into itself."""
        return bool(self._numbers[_LOADING])

    @loading.setter
    def loading(self, value: bool) -> None:
        self._numbers[_LOADING] = value

    @property
    def cause(self) -> str:
        """Return why the process has ended itself; empty if it has not."""
        return bytes(self._cause).rstrip(b"\0").decode("utf-8", "replace")

    @cause.setter
    def cause(self, text: str) -> None:
        content = text.encode()[:_CAUSE_BYTES]
        self._cause[: len(content)] = content
