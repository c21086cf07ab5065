"""Zip archives of arrays, checked before they are read: their size in memory, and what each array claims."""

import io
import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from .errors import ConversionFailed

_MAX_MEMBERS = 100_000
_FREE_BYTES = 256 << 20
"""How much any archive may contain. A larger one may not be larger in memory than _MAX_RATIO times its file."""
_MAX_RATIO = 50
_ARRAY, _ARRAYS = ".npy", ".npz"
_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def check_archive(file: Path) -> None:
    """Raise ConversionFailed unless the file is an archive of bounded size whose arrays are as large as they claim."""
    _check(file, file.stat().st_size, file.name)


def read_arrays(file: Path) -> dict[str, np.ndarray]:
    """Read all arrays of an .npz file, without unpickling; raise ConversionFailed."""
    check_archive(file)
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, MemoryError) as error:
        raise ConversionFailed(f"{file.name}: is not an archive of plain arrays: {error}") from None


def _check(file: Path | IO[bytes], compressed: int, name: str) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            expanded = sum(member.file_size for member in members)
            if len(members) > _MAX_MEMBERS:
                raise ConversionFailed(f"{name}: got {len(members)} members, expected at most {_MAX_MEMBERS}")
            if expanded > max(_FREE_BYTES, _MAX_RATIO * compressed):
                raise ConversionFailed(
                    f"{name}: got {expanded} bytes in {compressed}, expected at most {_MAX_RATIO} times as many; "
                    "save it without compression"
                )
            for member in members:
                _check_member(archive, member, name)
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError, NotImplementedError) as error:
        raise ConversionFailed(f"{name}: is not an intact zip archive: {error}") from None


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> None:
    at = f"{name}/{member.filename}"
    if member.filename.endswith(_ARRAYS):
        # scipy's sparse matrices in a .skops file
        _check(io.BytesIO(archive.read(member)), member.file_size, at)
    elif member.filename.endswith(_ARRAY):
        with archive.open(member) as opened:
            read_header = _READERS.get(npy.read_magic(opened))
            if read_header is None:
                raise ConversionFailed(f"{at}: got an unknown version of numpy's format, expected 1.0 or 2.0")
            shape, _, dtype = read_header(opened)
            header = opened.tell()
        if dtype.hasobject:
            raise ConversionFailed(
                f"{at}: got an array of Python objects, expected numbers, booleans or texts (dtype U)"
            )
        claimed, found = math.prod(shape) * dtype.itemsize, member.file_size - header
        if claimed != found or min(shape, default=0) < 0:
            raise ConversionFailed(f"{at}: claims {claimed} bytes for shape {list(shape)}, but has {found}")
