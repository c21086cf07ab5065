"""Copying files by pieces: hashed on the way, never longer than announced."""

import hashlib
from pathlib import Path
from typing import IO, Protocol

from .errors import ArtifactError
from .manifest import FileEntry

_PIECE = 1 << 20


class Readable(Protocol):
    """What can be read by pieces: a file, an answer over HTTP."""

    def read(self, size: int, /) -> bytes: ...


class VerifyingReader:
    """Pass a file's bytes on and compare them with its entry at the end."""

    def __init__(self, uri: str, source: Readable, entry: FileEntry) -> None:
        self._uri = uri
        self._source = source
        self._entry = entry
        self._hash = hashlib.sha256()
        self._size = 0

    def read(self, size: int = _PIECE, /) -> bytes:
        """Return the next bytes; raise ArtifactError as soon as there are more than announced."""
        piece = self._source.read(size)
        self._hash.update(piece)
        self._size += len(piece)
        if self._size > self._entry.size:
            self._refuse(f"more than {self._entry.size} bytes", f"{self._entry.size} bytes")
        return piece

    def finish(self) -> None:
        """Raise ArtifactError unless exactly the announced bytes went through."""
        if self._size != self._entry.size:
            self._refuse(f"{self._size} bytes", f"{self._entry.size} bytes")
        if self._hash.hexdigest() != self._entry.sha256:
            self._refuse(f"sha256:{self._hash.hexdigest()}", f"sha256:{self._entry.sha256}")

    def _refuse(self, found: str, expected: str) -> None:
        raise ArtifactError(self._uri, f"file {self._entry.path!r}: found {found}, the manifest says {expected}")


def copy_verified(uri: str, source: Readable, target: IO[bytes], entry: FileEntry) -> None:
    """Copy a file's bytes; raise ArtifactError unless they are those of its entry."""
    reader = VerifyingReader(uri, source, entry)
    while piece := reader.read():
        target.write(piece)
    reader.finish()


def read_entry(folder: Path, path: str) -> FileEntry:
    """Hash one file of a folder into its entry."""
    digest, size = hashlib.sha256(), 0
    with (folder / path).open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    return FileEntry(path, size, digest.hexdigest())
