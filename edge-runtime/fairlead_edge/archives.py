"""Archives of arrays (.npz): only the arrays that are used are read, and no more bytes than a limit."""

import lzma
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from numpy.lib import format as npy
from numpy.typing import NDArray

from .errors import InputUnusable

MAX_BYTES = 1 << 32
"""How many bytes the arrays that are used may have together, uncompressed: 4 GiB."""
_ENDING = ".npy"
_BROKEN = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, tokenize.TokenError, OSError, EOFError, ArithmeticError,
    LookupError, RuntimeError, SyntaxError, SystemError, TypeError, ValueError,
)  # fmt: skip
"""What zipfile, its decompressors and numpy's parser of headers raise for archives that are damaged."""


class Archive:
    """The arrays of an .npz file."""

    def __init__(self, file: Path | BytesIO, name: str = "") -> None:
        """Read the archive's table of contents; raise InputUnusable, which calls the archive `name`, or as its file."""
        self._file = file
        self._name = name or (file.name if isinstance(file, Path) else "the archive")
        self._left = MAX_BYTES
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
        except _BROKEN as error:
            raise self._reject(error) from None
        # other files, such as a README, are not arrays
        self._members: Mapping[str, zipfile.ZipInfo] = {
            member.filename.removesuffix(_ENDING): member for member in members if member.filename.endswith(_ENDING)
        }
        self.names = frozenset(self._members)

    def read(self, name: str) -> NDArray[Any]:
        """Read an array that is in the archive; raise InputUnusable."""
        member = self._members[name]
        # zipfile reads no more bytes of a member than this, whatever is compressed in it
        self._left -= member.file_size
        if self._left < 0:
            raise InputUnusable(
                f"{self._name}: got {MAX_BYTES - self._left} bytes of arrays, expected at most {MAX_BYTES}"
            )
        try:
            with zipfile.ZipFile(self._file) as archive, archive.open(member) as opened:
                array: NDArray[Any] = npy.read_array(opened, allow_pickle=False)
        except MemoryError:
            raise InputUnusable(f"{self._name}: an array is larger than the memory") from None
        except _BROKEN as error:
            raise self._reject(error) from None
        return array

    def _reject(self, error: Exception) -> InputUnusable:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return InputUnusable(f"{self._name}: is not an archive of plain arrays: {reason[:200]}")
