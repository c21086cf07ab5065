"""Open files that other programs put there, without waiting and without trusting their type."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


class NotRegular(OSError):
    """There is a folder, a named pipe, a socket or a device where a file was expected."""

    def __init__(self, path: Path, mode: int | None = None) -> None:
        found = "a socket or a device" if mode is None else _TYPES.get(stat.S_IFMT(mode), "no regular file")
        super().__init__(errno.EINVAL, f"is {found}; expected a regular file", str(path))


_TYPES = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; raise NotRegular for anything else, instead of waiting for a pipe's writer."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENODEV):  # How the kernel answers for a socket.
            raise NotRegular(path) from None
        raise
    try:
        # Checked after opening, so that the file cannot be exchanged in between.
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise NotRegular(path, mode)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise
