"""The interface of a store, and the registry of URI schemes."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from .local_store import LocalStore
from .manifest import Manifest
from .streams import Readable, Source
from .uri import Location


class Store(Protocol):
    """Bytes at a location. Every method raises ArtifactError, or StoreUnavailable if retrying may help."""

    def read_manifest(self, location: Location) -> bytes | None:
        """Return the manifest's bytes, or None if there is no artifact."""

    def open_file(self, location: Location, path: str, offset: int = 0) -> AbstractContextManager[Readable]:
        """Open one of the artifact's files for reading from a byte on, which it must have."""

    def write(self, location: Location, source: Source, manifest: Manifest, old: Manifest | None) -> None:
        """Write the source's files, then the manifest; remove an old artifact first."""

    def delete(self, location: Location, manifest: Manifest) -> None:
        """Remove an artifact: readers find it whole until it is absent."""

    def read_beside(self, location: Location, path: str, limit: int) -> bytes | None:
        """Return at most `limit` bytes of a file that the manifest does not list, or None if it is absent."""

    def write_beside(self, location: Location, path: str, content: bytes) -> None:
        """Write a small file that the manifest does not list; raise ArtifactError if there is no artifact."""

    def find(self, location: Location) -> Iterator[Location]:
        """Yield the artifacts at and below the location, in order."""


def _open_s3() -> Store:
    # Imported lazily: file:// needs only the standard library.
    from .s3_store import S3Store

    return S3Store.from_environment()


_STORES: dict[str, Callable[[], Store]] = {"file": LocalStore, "s3": _open_s3}


def open_store(location: Location) -> Store:
    """Return the store for the location's scheme."""
    return _STORES[location.scheme]()
