"""A lock on a file of a volume that several workers mount. It ends with its process, whatever ends that."""

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

PAUSE = 0.2
"""The seconds between two tries."""
_LOCK_MODE = 0o664
"""Pods of other users take it as members of the volume's group (`fsGroup`)."""


class FileLock:
    """A lock on a file, which several open files share or exclude each other from."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _LOCK_MODE)
        with suppress(PermissionError):
            os.fchmod(self._descriptor, _LOCK_MODE)  # whatever the umask

    def take(self, kind: int) -> bool:
        """Take the lock if that is possible at once."""
        try:
            fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def wait(self, seconds: float) -> bool:
        """Take the lock exclusively within some seconds; return whether that was possible."""
        end = time.monotonic() + seconds
        while not self.take(fcntl.LOCK_EX):
            if time.monotonic() > end:
                return False
            time.sleep(PAUSE)
        return True

    def touch(self) -> None:
        """Note that the entry is used now."""
        with suppress(PermissionError):
            os.utime(self._descriptor)

    def release(self) -> None:
        """Release the lock."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Release the lock and close the file."""
        os.close(self._descriptor)
