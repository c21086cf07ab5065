"""Zip archives of arrays, checked before they are read: their size in memory, and what each array claims."""

import io
import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from .errors import Unusable

_MAX_MEMBERS = 100_000
_FREE_BYTES = 256 << 20
"""How much any archive may contain. A larger one may not be larger in memory than _MAX_RATIO times its file."""
_MAX_RATIO = 50
_ARRAY, _ARRAYS = ".npy", ".npz"
_ARRAY_START, _ARCHIVE_STARTS = b"\x93NUMPY", (b"PK\x03\x04", b"PK\x05\x06")
BROKEN_ARCHIVE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError, OSError, EOFError, ValueError,
    RuntimeError, MemoryError,
)  # fmt: skip
"""What zipfile, its decompressors and numpy raise for archives that are truncated or changed."""
_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@dataclass
class _Budget:
    """What a file contains, members of archives inside of it included."""

    compressed: int
    members: int = 0
    expanded: int = 0

    def spend(self, members: list[zipfile.ZipInfo], name: str) -> None:
        """Count members; raise Unusable if they are too many or too large for the file."""
        self.members += len(members)
        self.expanded += sum(member.file_size for member in members)
        if self.members > _MAX_MEMBERS:
            raise Unusable(f"{name}: got {self.members} members, expected at most {_MAX_MEMBERS}")
        if self.expanded > max(_FREE_BYTES, _MAX_RATIO * self.compressed):
            raise Unusable(
                f"{name}: got {self.expanded} bytes in {self.compressed}, expected at most {_MAX_RATIO} times as many; "
                "save it without compression"
            )


def check_archive(file: Path) -> None:
    """Raise Unusable unless the file is an archive of bounded size whose arrays are as large as they claim."""
    _check(file, _Budget(file.stat().st_size), file.name)


def read_arrays(file: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays of an .npz file, without unpickling; raise Unusable."""
    check_archive(file)
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except BROKEN_ARCHIVE as error:
        raise Unusable(f"{file.name}: is not an archive of plain arrays: {error}") from None


def _check(file: Path | IO[bytes], budget: _Budget, name: str) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            budget.spend(members, name)
            for member in members:
                _check_member(archive, member, budget, name)
    except BROKEN_ARCHIVE as error:
        raise Unusable(f"{name}: is not an intact zip archive: {error}") from None


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, budget: _Budget, name: str) -> None:
    at = f"{name}/{member.filename}"
    with archive.open(member) as opened:
        start = opened.read(len(_ARRAY_START))
    # by content, too: what reads a member does not ask for the end of its name
    if member.filename.endswith(_ARRAYS) or start.startswith(_ARCHIVE_STARTS):
        if "/" in name or name.endswith(_ARRAYS):
            raise Unusable(f"{at}: got an archive inside an archive of arrays, expected arrays alone")
        # scipy's sparse matrices in a .skops file
        _check(io.BytesIO(archive.read(member)), budget, at)
    elif member.filename.endswith(_ARRAY) or start == _ARRAY_START:
        with archive.open(member) as opened:
            # numpy before 2.3 has no types for these
            version = npy.read_magic(opened)  # type: ignore[no-untyped-call, unused-ignore]
            read_header = _READERS.get(version)
            if read_header is None:
                raise Unusable(f"{at}: got an unknown version of numpy's format, expected 1.0 or 2.0")
            shape, _, dtype = read_header(opened)  # type: ignore[no-untyped-call, unused-ignore]
            header = opened.tell()
        if dtype.hasobject:
            raise Unusable(f"{at}: got an array of Python objects, expected numbers, booleans or texts (dtype U)")
        claimed, found = math.prod(shape) * dtype.itemsize, member.file_size - header
        if claimed != found or min(shape, default=0) < 0:
            raise Unusable(f"{at}: claims {claimed} bytes for shape {list(shape)}, but has {found}")
