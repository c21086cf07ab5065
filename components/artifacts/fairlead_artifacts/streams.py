"""Copy files in chunks, verifying hash and size against the manifest."""

import hashlib
from pathlib import Path
from typing import IO, Protocol

from .errors import ArtifactError
from .manifest import FileEntry

_CHUNK = 1 << 20


class Readable(Protocol):
    """An object that can be read in chunks, such as a file or an HTTP response."""

    def read(self, size: int, /) -> bytes: ...


class VerifyingReader:
    """Reads a file and compares its bytes with its manifest entry."""

    def __init__(self, uri: str, source: Readable, entry: FileEntry) -> None:
        self._uri = uri
        self._source = source
        self._entry = entry
        self._hash = hashlib.sha256()
        self._size = 0

    def read(self, size: int = _CHUNK, /) -> bytes:
        """Return the next bytes; raise ArtifactError as soon as there are more than the entry allows."""
        chunk = self._source.read(size)
        self._hash.update(chunk)
        self._size += len(chunk)
        if self._size > self._entry.size:
            self._reject(f"more than {self._entry.size} bytes", f"{self._entry.size} bytes")
        return chunk

    def finish(self) -> None:
        """Raise ArtifactError unless the bytes read match the entry."""
        if self._size != self._entry.size:
            self._reject(f"{self._size} bytes", f"{self._entry.size} bytes")
        if self._hash.hexdigest() != self._entry.sha256:
            self._reject(f"sha256:{self._hash.hexdigest()}", f"sha256:{self._entry.sha256}")

    def _reject(self, found: str, expected: str) -> None:
        raise ArtifactError(
            self._uri, f"file {self._entry.path!r}: got {found}, expected {expected} as in the manifest"
        )


def copy_verified(uri: str, source: Readable, target: IO[bytes], entry: FileEntry) -> None:
    """Copy a file's bytes; raise ArtifactError unless they match its entry."""
    reader = VerifyingReader(uri, source, entry)
    while chunk := reader.read():
        target.write(chunk)
    reader.finish()


def read_entry(folder: Path, path: str) -> FileEntry:
    """Hash one file of a folder and return its entry."""
    digest, size = hashlib.sha256(), 0
    with (folder / path).open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return FileEntry(path, size, digest.hexdigest())
