"""Copy files in chunks, verifying hash and size against the manifest."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from .errors import ArtifactError, LocalFileError, StoreUnavailable
from .manifest import FileEntry
from .regular import open_regular

_CHUNK = 1 << 20


class Readable(Protocol):
    """An object that can be read in chunks, such as a file or an HTTP response."""

    def read(self, size: int, /) -> bytes: ...


class VerifyingReader:
    """Reads a file and compares its bytes with its manifest entry."""

    def __init__(
        self, uri: str, source: Readable, entry: FileEntry, on_read: Callable[[], None] = lambda: None
    ) -> None:
        self._uri = uri
        self._on_read = on_read
        self._source = source
        self._entry = entry
        self._hash = hashlib.sha256()
        self._size = 0

    def read(self, size: int = _CHUNK, /) -> bytes:
        """Return the next bytes; raise ArtifactError as soon as there are more than the entry allows."""
        self._on_read()
        chunk = self._source.read(size)
        self._hash.update(chunk)
        self._size += len(chunk)
        if self._size > self._entry.size:
            self._reject(f"more than {self._entry.size} bytes", f"{self._entry.size} bytes")
        return chunk

    def follow(self, source: Readable) -> None:
        """Read on from another source, which has the rest of the file."""
        self._source = source

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


class LocalFile:
    """A file of this machine, whose errors are not the store's: they name the file and say what is wrong."""

    def __init__(self, path: Path, file: IO[bytes], on_bytes: Callable[[int], None] = lambda _: None) -> None:
        self._path = path
        self._file = file
        self._on_bytes = on_bytes

    @classmethod
    @contextmanager
    def open(cls, path: Path, on_bytes: Callable[[int], None] = lambda _: None) -> "Iterator[LocalFile]":
        """Open a file for reading; `on_bytes` is called with the size of each chunk that was read."""
        with _local_errors(path):
            file = open_regular(path)
        with file:
            yield cls(path, file, on_bytes)

    @classmethod
    @contextmanager
    def create(cls, path: Path) -> "Iterator[LocalFile]":
        """Create a file, and its folder if it is missing."""
        with _local_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("xb", buffering=0)  # Unbuffered: closing it must not write, and fail.
        with file:
            yield cls(path, file)

    @classmethod
    @contextmanager
    def extend(cls, path: Path) -> "Iterator[LocalFile]":
        """Open a file to read it from its start and to write at its end; create it, and its folder, if missing."""
        with _local_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+b", buffering=0)
            file.seek(0)
        with file:
            yield cls(path, file)

    def read(self, size: int, /) -> bytes:
        """Return the next bytes."""
        with _local_errors(self._path):
            content = self._file.read(size)
        self._on_bytes(len(content))
        return content

    def write(self, content: bytes) -> None:
        """Write bytes."""
        rest = memoryview(content)
        with _local_errors(self._path):
            while rest:
                rest = rest[self._file.write(rest) :]


@dataclass(frozen=True)
class Source:
    """The folder whose files are published; `on_bytes` is called with the size of each chunk that is read from it."""

    folder: Path
    on_bytes: Callable[[int], None] = lambda _: None

    def open(self, path: str) -> AbstractContextManager[LocalFile]:
        """Open one of its files for reading."""
        return LocalFile.open(self.folder / path, self.on_bytes)


@contextmanager
def _local_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LocalFileError(str(path), f"this machine's file system: {error.strerror or error}") from None


class Writable(Protocol):
    """An object that chunks can be written to."""

    def write(self, content: bytes, /) -> object: ...


def copy_verified(uri: str, source: Readable, target: Writable, entry: FileEntry) -> None:
    """Copy a file's bytes; raise ArtifactError unless they match its entry."""
    reader = VerifyingReader(uri, source, entry)
    while chunk := reader.read():
        target.write(chunk)
    reader.finish()


def resume_verified(
    uri: str, path: Path, entry: FileEntry, open_at: Callable[[int], AbstractContextManager[Readable]]
) -> None:
    """Complete a file of which this machine may have a part; begin anew if that part is not as in the manifest.

    `open_at` opens the file in the store from a byte on.
    """
    with _local_errors(path):
        begun = path.stat().st_size if path.exists() else 0
    try:
        with LocalFile.extend(path) as copy:
            reader = VerifyingReader(uri, copy, entry)
            while reader.read():
                pass
            if begun < entry.size:
                with open_at(begun) as source:
                    reader.follow(source)
                    while chunk := reader.read():
                        copy.write(chunk)
            reader.finish()
    except (LocalFileError, StoreUnavailable):
        raise
    except ArtifactError:
        with _local_errors(path):
            path.unlink()
        if not begun:
            raise
        resume_verified(uri, path, entry, open_at)


def read_entry(source: Source, path: str) -> FileEntry:
    """Hash one file of a folder and return its entry."""
    digest, size = hashlib.sha256(), 0
    with source.open(path) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return FileEntry(path, size, digest.hexdigest())
