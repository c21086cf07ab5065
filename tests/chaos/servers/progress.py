"""The progress of a part of the campaign, on standard error."""

import sys
import threading
import time

from tests.chaos.servers.targets import Kind

_SECONDS = 15.0


class Progress:
    """Counts what is done, and prints how far it is every few seconds; several threads may advance it."""

    def __init__(self, kind: Kind, what: str, total: int) -> None:
        self._text, self._total = f"{kind.name}: {what}", total
        self._done = 0
        self._begin = self._printed = time.monotonic()
        self._lock = threading.Lock()

    def advance(self) -> None:
        """Count one more."""
        with self._lock:
            self._done += 1
            now = time.monotonic()
            if now - self._printed < _SECONDS and self._done < self._total:
                return
            self._printed = now
            left = (now - self._begin) / self._done * (self._total - self._done)
            sys.stderr.write(f"{self._text}: {self._done} of {self._total}, about {left:.0f} s left\n")
