"""Read an object over several connections: what a dropped connection has delivered is not fetched again."""

import logging
import time
from collections.abc import Callable

import urllib3
from urllib3 import BaseHTTPResponse

log = logging.getLogger(__name__)

_ATTEMPTS = 5
"""Consecutive connections without a byte after which the read fails."""
_PAUSE = 0.5


class ResumingReader:
    """Reads an object; `get` opens it from an offset, if it still has the ETag of the first response."""

    def __init__(self, get: Callable[[int, str | None], BaseHTTPResponse], offset: int = 0) -> None:
        self._get = get
        self._offset = offset
        self._failures = 0
        self._body = get(offset, None)
        self._etag = self._body.headers.get("ETag")

    def read(self, size: int, /) -> bytes:
        """Return the next bytes; raise urllib3's error once several connections have dropped in a row."""
        while True:
            try:
                chunk = self._body.read(size)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                self._resume(error)
                continue
            self._offset += len(chunk)
            self._failures = 0 if chunk else self._failures
            return chunk

    def close(self) -> None:
        """Close the connection, or return it to its pool."""
        self._body.close()
        self._body.release_conn()

    def _resume(self, error: Exception) -> None:
        self._failures += 1
        if self._failures >= _ATTEMPTS or self._etag is None:
            raise error
        log.warning("resuming at byte %d: %s", self._offset, error)
        self.close()
        time.sleep(self._failures * _PAUSE)
        self._body = self._get(self._offset, self._etag)
