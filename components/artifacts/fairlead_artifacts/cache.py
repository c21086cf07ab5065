"""A cache of artifacts on a volume that several workers mount: each artifact is fetched once, and verified at each use.

    <cache>/lock             held while space is made for another artifact
    <cache>/<hash>.lock      held exclusively while an artifact is fetched or evicted, shared while it is used;
                             its time says when that was last
    <cache>/<hash>.part/     an artifact that is being fetched; what a killed worker has left is continued
    <cache>/<hash>/          a complete one: manifest.json, and the files in files/

The locks are `flock`'s, which end with their process, whatever ends it, and which NFS has, too. Entries are named by
the digest, so that what is found needs no request to the store.
"""

import fcntl
import hashlib
import logging
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .artifact import read_manifest
from .errors import ArtifactError, CacheUnusable, LocalFileError
from .file_lock import PAUSE, FileLock
from .manifest import MANIFEST_NAME, MAX_BYTES, Manifest, parse_manifest
from .regular import open_regular
from .shared_folders import count_bytes, make_folder, protect, remove
from .stores import open_store
from .streams import Source, read_entry, resume_verified
from .uri import parse_digest, parse_uri

log = logging.getLogger(__name__)

_LOG_SECONDS = 30.0
_STALLED_SECONDS = 900.0
"""How long another worker may hold a lock without fetching a byte; verifying an earlier part takes time, too."""
_DAMAGED_SECONDS = 5.0
"""How long to wait for others that hold a damaged entry: they may just be finding out, too."""


@dataclass(frozen=True)
class CachedArtifact:
    """A verified artifact in a cache; it is not evicted until it is closed, or its process ends."""

    folder: Path
    manifest: Manifest
    _lock: FileLock

    def close(self) -> None:
        """Allow it to be evicted."""
        self._lock.close()


class Cache:
    """Artifacts in a folder, together of at most `max_bytes`; the least recently used ones are evicted."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder, self._max_bytes = folder, max_bytes

    def open(self, uri: str, digest: str | None = None) -> CachedArtifact:
        """Return an artifact, fetched if it is not there or damaged; wait while another worker fetches it.

        Raise ArtifactError as `fetch` does, and CacheUnusable if the cache cannot hold it.
        """
        digest = f"sha256:{parse_digest(digest)}" if digest else read_manifest(uri).digest
        try:
            make_folder(self._folder)
            entry = _Entry(self._folder, digest)
            lock = FileLock(entry.lock)
            try:
                return CachedArtifact(entry.files, self._find(uri, entry, lock), lock)
            except BaseException:
                lock.close()
                raise
        except (OSError, LocalFileError) as error:
            raise CacheUnusable(str(self._folder), str(error)) from None

    def _find(self, uri: str, entry: "_Entry", lock: FileLock) -> Manifest:
        """Return the manifest of an entry that is complete, with the lock held shared."""
        wait, damaged, fetched = _Wait(uri, entry), None, False
        while True:
            if lock.take(fcntl.LOCK_SH):
                # what this process has just fetched could only be evicted since, or replaced as a whole
                if manifest := entry.read(uri) if fetched else entry.verify(uri):
                    lock.touch()
                    return manifest
                damaged = (damaged or time.monotonic()) if entry.folder.exists() else None
                lock.release()
            else:
                damaged = None  # another worker fetches it
            if lock.take(fcntl.LOCK_EX):
                if not entry.verify(uri):
                    self._fill(uri, entry, lock)
                fetched = True
                continue
            if damaged is not None and time.monotonic() - damaged > _DAMAGED_SECONDS:
                raise CacheUnusable(str(entry.folder), "is damaged, and used by another worker")
            wait.pause()

    def _fill(self, uri: str, entry: "_Entry", lock: FileLock) -> None:
        """Fetch an entry, or what is missing of it; the lock is held exclusively."""
        manifest = read_manifest(uri, entry.digest)
        remove(entry.folder)
        lock.touch()
        self._reserve(entry, manifest)
        location = parse_uri(uri)
        store = open_store(location)
        try:
            for file in manifest.files:
                target = entry.part_files / file.path
                make_folder(target.parent)
                resume_verified(location.uri, target, file, partial(store.open_file, location, file.path))
        except (OSError, LocalFileError):
            remove(entry.part)  # such as a full volume: the part would only use its space
            raise
        protect(entry.part)
        entry.part.rename(entry.folder)

    def _reserve(self, entry: "_Entry", manifest: Manifest) -> None:
        """Evict what was used least recently until there is space, and reserve it by the manifest of the entry."""
        if manifest.size > self._max_bytes:
            raise CacheUnusable(str(self._folder), f"holds {self._max_bytes} bytes, expected {manifest.size} or more")
        with closing(FileLock(self._folder / "lock")) as lock:
            if not lock.wait(_STALLED_SECONDS):
                raise CacheUnusable(
                    str(self._folder), f"another worker makes space for more than {_STALLED_SECONDS:g} s"
                )
            others = [other for other in self._entries() if other.digest != entry.digest]
            sizes = {other.digest: other.size() for other in others}
            others.sort(key=_Entry.last_used)
            while sum(sizes.values()) + manifest.size > self._max_bytes and others:
                if others[0].evict():
                    del sizes[others[0].digest]
                del others[0]
            if (used := sum(sizes.values())) + manifest.size > self._max_bytes:
                text = f"{used} of {self._max_bytes} bytes are in use, expected {manifest.size} to be free"
                raise CacheUnusable(str(self._folder), text)
            make_folder(entry.part_files)
            (entry.part / MANIFEST_NAME).write_bytes(manifest.content)

    def _entries(self) -> "Iterator[_Entry]":
        """Yield the entries, also those that are not complete.

        By their names alone: another worker may complete one as soon as its name is read, and it still counts.
        """
        names = {path.name.removesuffix(".part") for path in self._folder.iterdir() if not path.is_symlink()}
        yield from (_Entry(self._folder, f"sha256:{name}") for name in sorted(names) if len(name) == 64)


class _Entry:
    """The place of an artifact in a cache."""

    def __init__(self, cache: Path, digest: str) -> None:
        self.digest = digest
        self.folder = cache / digest.removeprefix("sha256:")
        self.part, self.lock = (self.folder.with_name(self.folder.name + end) for end in (".part", ".lock"))
        self.files, self.part_files = self.folder / "files", self.part / "files"

    def read(self, uri: str, folder: Path | None = None) -> Manifest | None:
        """Return the manifest; None if there is none, or one of another digest."""
        try:
            with open_regular((folder or self.folder) / MANIFEST_NAME) as file:
                content = file.read(MAX_BYTES + 1)
            manifest = parse_manifest(uri, content)
        except (OSError, ArtifactError):
            return None
        return manifest if f"sha256:{hashlib.sha256(content).hexdigest()}" == self.digest else None

    def verify(self, uri: str) -> Manifest | None:
        """Return the manifest if all files, and no others, are as it says."""
        manifest = self.read(uri)
        if manifest is None:
            return None
        try:
            found = {path.relative_to(self.files).as_posix() for path in self.files.rglob("*") if not path.is_dir()}
            source = Source(self.files)
            if found == {file.path for file in manifest.files} and all(
                read_entry(source, file.path) == file for file in manifest.files
            ):
                return manifest
        except (OSError, ArtifactError) as error:
            log.warning("%s cannot be read: %s", self.folder, error)
            return None
        log.warning("%s is damaged: it is not as published", self.folder)
        return None

    def size(self) -> int:
        """Return the bytes that it uses, or will; those of its files if it has no manifest."""
        for folder in (self.folder, self.part):
            if manifest := self.read("cache", folder):
                return manifest.size
        return count_bytes(self.folder) + count_bytes(self.part)

    def last_used(self) -> float:
        """Return when it was last used."""
        return self.lock.stat().st_mtime if self.lock.exists() else 0.0

    def evict(self) -> bool:
        """Remove it unless it is in use; return whether it is gone."""
        with closing(FileLock(self.lock)) as lock:
            evicted = lock.take(fcntl.LOCK_EX)
            if evicted:
                log.info("evicting %s", self.folder.name)
                remove(self.folder)
                remove(self.part)
        return evicted and not self.folder.exists() and not self.part.exists()


class _Wait:
    """The wait for another worker that fetches an entry, as long as it goes on: it may hang, and so does its lock."""

    def __init__(self, uri: str, entry: _Entry) -> None:
        self._uri, self._entry = uri, entry
        self._logged = self._moved = time.monotonic()
        self._begun: int | None = None

    def pause(self) -> None:
        """Wait a moment; raise CacheUnusable if nothing has been fetched for long."""
        now = time.monotonic()
        if now - self._logged > _LOG_SECONDS:
            self._logged = now
            log.info("waiting for another worker that fetches %s", self._uri)
            if (begun := count_bytes(self._entry.part)) != self._begun:
                self._begun, self._moved = begun, now
            elif now - self._moved > _STALLED_SECONDS:
                raise CacheUnusable(str(self._entry.lock), f"its holder fetched nothing for {_STALLED_SECONDS:g} s")
        time.sleep(PAUSE)
