"""A writer's claim on an S3 location: an object that only one writer can create, by a conditional put.

Of two writers of different content, one holds the claim and the other gets ClaimHeld before it writes anything. A claim
is refreshed while its writer makes progress, so that what a crashed writer left is taken over after a few minutes.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Protocol

from .errors import ClaimHeld
from .uri import Location

CLAIM_NAME = ".fairlead-writer"
STALE_SECONDS = 300.0
"""Age at which a claim that is not refreshed counts as abandoned."""
_REFRESH_SECONDS = 30.0
_LIMIT = 4096


@dataclass(frozen=True)
class Stored:
    """An object of the store; both times are the store's."""

    content: bytes
    etag: str
    modified: str
    now: str

    @property
    def age(self) -> float:
        """Return the seconds since the last change."""
        return (parsedate_to_datetime(self.now) - parsedate_to_datetime(self.modified)).total_seconds()


class ConditionalStore(Protocol):
    """What a claim needs of a store."""

    def read_small(self, location: Location, path: str, limit: int) -> Stored | None:
        """Return an object of at most `limit` bytes, or None if it is absent."""

    def put_if(self, location: Location, path: str, content: bytes, condition: dict[str, str]) -> str | None:
        """Write an object if the condition holds; return its ETag, or None if it does not hold."""

    def remove(self, location: Location, path: str) -> None:
        """Remove an object."""


class Claim:
    """A claim of one writer, who writes the artifact with this digest."""

    def __init__(
        self, store: ConditionalStore, location: Location, digest: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._location = location
        self._content = json.dumps({"digest": digest}).encode()
        self._digest = digest
        self._clock = clock
        self._etag: str | None = None
        self._refreshed = clock()

    def take(self) -> None:
        """Take the claim; raise ClaimHeld if another writer has it. Writers of equal content share one."""
        self._etag = self._put({"If-None-Match": "*"})
        for _ in range(3):
            if self._etag is not None:
                return
            held = self._store.read_small(self._location, CLAIM_NAME, _LIMIT)
            if held is None:
                self._etag = self._put({"If-None-Match": "*"})
            elif held.age > STALE_SECONDS:
                self._etag = self._put({"If-Match": held.etag})
            elif held.content == self._content:
                return
            else:
                raise self._held(held.content)
        if self._etag is None:
            raise self._held(b"")

    def refresh(self) -> None:
        """Show that the writer makes progress; raise ClaimHeld if another writer has taken the claim over."""
        if self._etag is None or self._clock() - self._refreshed < _REFRESH_SECONDS:
            return
        self._refreshed = self._clock()
        self._etag = self._put({"If-Match": self._etag})
        if self._etag is None:
            raise self._held(b"")

    def release(self) -> None:
        """Remove the claim if it is still this writer's."""
        held = self._store.read_small(self._location, CLAIM_NAME, _LIMIT) if self._etag else None
        if held is not None and held.etag == self._etag:
            self._store.remove(self._location, CLAIM_NAME)

    def _put(self, condition: dict[str, str]) -> str | None:
        return self._store.put_if(self._location, CLAIM_NAME, self._content, condition)

    def _held(self, content: bytes) -> ClaimHeld:
        other = _read_digest(content)
        return ClaimHeld(
            self._location.uri, f"another writer is publishing {other} here; expected none or {self._digest}"
        )


def _read_digest(content: bytes) -> str:
    try:
        return str(json.loads(content)["digest"])[:80]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "an artifact"
