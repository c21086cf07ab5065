"""Artifacts in a file system: a folder is published atomically by a rename."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO

from .errors import ArtifactError, StoreUnavailable
from .manifest import MANIFEST_NAME, MAX_BYTES, Manifest
from .regular import NotRegular, open_regular
from .streams import Readable, Source, copy_verified
from .uri import Location

_HIDDEN = ".fairlead-"
_LASTING = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR)
"""Errors that describe the location, not the state of the file system: a retry does not help."""


class LocalStore:
    """The store for file:// URIs."""

    def read_manifest(self, location: Location) -> bytes | None:
        """Return the manifest's bytes, or None if there is no artifact."""
        with _translate_errors(location):
            try:
                with _open_inside(location, MANIFEST_NAME) as file:
                    return file.read(MAX_BYTES + 1)
            except (FileNotFoundError, NotADirectoryError):
                return None

    @contextmanager
    def open_file(self, location: Location, path: str, offset: int = 0) -> Iterator[Readable]:
        """Open one of the artifact's files for reading; raise ArtifactError for a link that leads out of it."""
        with _translate_errors(location, path), _open_inside(location, path) as opened:
            opened.seek(offset)
            yield opened

    def write(self, location: Location, source: Source, manifest: Manifest, old: Manifest | None) -> None:
        """Write a hidden folder next to the target, then rename it; remove an old artifact first."""
        published = Path(location.path)
        if source.folder.resolve() == published.resolve():
            raise ArtifactError(location.uri, "the folder to publish is the artifact's own folder; expected another")
        with _translate_errors(location):
            published.parent.mkdir(parents=True, exist_ok=True)
            with _hidden_folder(published) as written, _hidden_folder(published) as removed:
                for entry in manifest.files:
                    target = written / entry.path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with source.open(entry.path) as opened, target.open("xb") as file:
                        copy_verified(location.uri, opened, file, entry)
                        _flush(file)
                with (written / MANIFEST_NAME).open("xb") as file:
                    file.write(manifest.content)
                    _flush(file)
                if old is not None:
                    published.rename(removed / "old")
                _rename(location, written)

    def delete(self, location: Location, manifest: Manifest) -> None:  # noqa: ARG002
        """Rename the folder, then remove it; a folder that is gone already is no error."""
        published = Path(location.path)
        with _translate_errors(location), _hidden_folder(published) as removed, suppress(FileNotFoundError):
            published.rename(removed / "old")

    def read_beside(self, location: Location, path: str, limit: int) -> bytes | None:
        """Return at most `limit` bytes of a file that the manifest does not list, or None if it is absent."""
        with _translate_errors(location, path):
            try:
                with _open_inside(location, path) as file:
                    return file.read(limit)
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write_beside(self, location: Location, path: str, content: bytes) -> None:
        """Write a small file that the manifest does not list; raise ArtifactError if there is no artifact."""
        target = Path(location.path, path)
        with _translate_errors(location, path):
            if not Path(location.path, MANIFEST_NAME).is_file():
                raise ArtifactError(location.uri, f"no artifact found; expected a {MANIFEST_NAME}")
            if target.parent.is_symlink():
                raise ArtifactError(location.uri, f"{target.parent.name} is a link; expected a folder")
            target.parent.mkdir(exist_ok=True)
            written = target.with_name(f"{_HIDDEN}{secrets.token_hex(6)}")
            try:
                with written.open("xb") as file:
                    file.write(content)
                    _flush(file)
                written.replace(target)
            finally:
                written.unlink(missing_ok=True)

    def find(self, location: Location) -> Iterator[Location]:
        """Yield the artifacts at and below the location, in order."""
        for parent, folders, files in os.walk(location.path):
            folders[:] = sorted(name for name in folders if not name.startswith(_HIDDEN))
            if MANIFEST_NAME in files:
                yield Location("file", "", parent)


def _open_inside(location: Location, path: str) -> BinaryIO:
    """Open a file of an artifact; raise ArtifactError for a link that leads out of it and for what is no file."""
    # Not Path.resolve, which raises RuntimeError for a link to itself.
    root, target = (Path(os.path.realpath(name)) for name in (location.path, Path(location.path, path)))
    if not target.is_relative_to(root):
        raise ArtifactError(location.uri, f"file {path!r} is a link to {target}; expected a file")
    try:
        return open_regular(target)
    except NotRegular as error:
        raise ArtifactError(location.uri, f"file {path!r} {error.strerror}") from None


def _rename(location: Location, written: Path) -> None:
    try:
        written.rename(location.path)
    except OSError as error:
        # ENOTEMPTY: the folder exists and has no manifest, or another writer was faster.
        if not Path(location.path).exists():
            raise
        raise ArtifactError(
            location.uri, f"the location is in use ({error.strerror}); expected no folder or an empty one"
        ) from None


def _flush(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def _hidden_folder(target: Path) -> Iterator[Path]:
    folder = target.parent / f"{_HIDDEN}{target.name[:100]}-{secrets.token_hex(6)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _translate_errors(location: Location, path: str | None = None) -> Iterator[None]:
    """Translate the system's errors into the store's."""
    try:
        yield
    except FileNotFoundError as error:
        subject = f"file {path!r} of the manifest" if path else str(error.filename)
        raise ArtifactError(location.uri, f"{subject} is missing") from None
    except OSError as error:
        kind = ArtifactError if error.errno in _LASTING else StoreUnavailable
        raise kind(location.uri, _describe(error)) from None


def _describe(error: OSError) -> str:
    text = error.strerror or str(error)
    return f"{text} ({error.filename})" if error.filename else text
