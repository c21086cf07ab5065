"""Where artifacts live: the interface of a store, and the one registry of schemes."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from .local_store import LocalStore
from .manifest import Manifest
from .streams import Readable
from .uri import Location


class Store(Protocol):
    """Bytes at a location. Every method raises ArtifactError, or StoreUnavailable when trying again may help."""

    def read_manifest(self, location: Location) -> bytes | None:
        """Return the manifest's bytes, or None where no artifact is."""

    def open_file(self, location: Location, path: str) -> AbstractContextManager[Readable]:
        """Open one of the artifact's files for reading."""

    def write(self, location: Location, folder: Path, manifest: Manifest, old: Manifest | None) -> None:
        """Write the folder's files, the manifest last; an old artifact there is removed first."""

    def find(self, location: Location) -> Iterator[Location]:
        """Yield the artifacts at and below the location, in order."""


def _open_s3() -> Store:
    # The client is only imported where it is used: file:// needs nothing but the standard library.
    from .s3_store import S3Store

    return S3Store.from_environment()


_STORES: dict[str, Callable[[], Store]] = {"file": LocalStore, "s3": _open_s3}


def open_store(location: Location) -> Store:
    """Return the store of the location's scheme."""
    return _STORES[location.scheme]()
