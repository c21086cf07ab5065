"""Records that wait to be sent: files in a folder, of which the oldest are removed when they need too many bytes."""

import json
import os
from pathlib import Path
from typing import Any

MAX_RECORD = 16 << 10
"""The longest record, in bytes."""
_DIGITS = 12


class Spool:
    """A folder of records."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """Use a folder, which is created if it is missing; raise OSError."""
        self._folder, self._max_bytes = folder, max_bytes
        folder.mkdir(parents=True, exist_ok=True)
        names = self._list()
        self._next = int(names[-1]) + 1 if names else 0
        self.dropped = 0
        """How many records were removed without being sent."""

    def add(self, record: dict[str, Any]) -> None:
        """Keep a record; raise OSError. It is dropped if it is longer than any may be."""
        content = json.dumps({"sequence": self._next, **record}, separators=(",", ":")).encode()
        if len(content) > min(MAX_RECORD, self._max_bytes):
            self.dropped += 1
            return
        self._make_room(len(content))
        written = self._folder / ".record"
        with written.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        written.replace(self._folder / f"{self._next:0{_DIGITS}d}")
        self._next += 1

    def read(self, count: int) -> list[tuple[str, Any]]:
        """Return the oldest records with their names; what a damaged disk has made of one is removed."""
        found = []
        for name in self._list()[:count]:
            try:
                found.append((name, json.loads((self._folder / name).read_bytes()[: MAX_RECORD + 1])))
            except (OSError, ValueError):
                self.remove([name])
                self.dropped += 1
        return found

    def remove(self, names: list[str]) -> None:
        """Remove records that were sent."""
        for name in names:
            (self._folder / name).unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        sizes = {name: self._measure(name) for name in self._list()}
        used = sum(sizes.values())
        for name, each in sizes.items():
            if used + size <= self._max_bytes:
                return
            used -= each
            self.remove([name])
            self.dropped += 1

    def _measure(self, name: str) -> int:
        try:
            return (self._folder / name).stat().st_size
        except FileNotFoundError:  # it was sent meanwhile
            return 0

    def _list(self) -> list[str]:
        return sorted(file.name for file in self._folder.iterdir() if file.name.isdecimal())
