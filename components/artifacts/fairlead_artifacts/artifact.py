"""Publish, read and fetch artifacts, with the same rules for every store."""

import os
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import TypeVar

from fairlead_contracts.model_uri import ModelPlace, list_places
from fairlead_contracts.signature import Signature

from .errors import ArtifactError, ArtifactNotFound, StoreUnavailable
from .manifest import (
    MANIFEST_NAME,
    FileEntry,
    JsonValue,
    Manifest,
    Parent,
    build_manifest,
    check_file_path,
    parse_manifest,
)
from .retries import retry_unavailable
from .signing import SigningKey, sign
from .stores import Store, open_store
from .streams import LocalFile, Source, copy_verified, read_entry
from .uri import Location, parse_digest, parse_uri

_T = TypeVar("_T")


def read_manifest(uri: str, digest: str | None = None) -> Manifest:
    """Return the artifact's manifest; raise ArtifactNotFound if there is none, ArtifactError for another digest."""
    location = parse_uri(uri)
    if digest is not None:
        parse_digest(digest)
    manifest = _read(open_store(location), location)
    if manifest is None:
        raise ArtifactNotFound(location.uri, f"no artifact found; expected a {MANIFEST_NAME}")
    if digest is not None and manifest.digest != digest:
        raise ArtifactError(location.uri, f"digest is {manifest.digest}, expected {digest}")
    return manifest


def open_model(model_uri: str, open_artifact: Callable[[str], _T]) -> tuple[ModelPlace, _T]:
    """Open the artifact of a modelUri, which names an artifact or a file of one; return the place and the artifact.

    `open_artifact` accepts an artifact's URI and raises ArtifactNotFound if there is none.
    """
    first, *others = list_places(model_uri)
    try:
        return first, open_artifact(first.artifact)
    except ArtifactNotFound:
        for place in others:
            try:
                return place, open_artifact(place.artifact)
            except ArtifactError:
                text = f"no artifact found at {first.artifact} or at {place.artifact}"
                raise ArtifactNotFound(model_uri, text) from None
        raise


def fetch(uri: str, folder: str | os.PathLike[str], digest: str | None = None, kind: str | None = None) -> Manifest:
    """Download into an empty or absent folder, verifying every file; on an error, the folder is left empty.

    With a kind, an artifact of another one is rejected before anything is downloaded.
    """
    manifest = read_manifest(uri, digest)
    if kind is not None and manifest.kind != kind:
        raise ArtifactError(uri, f"is of kind {manifest.kind!r}, expected {kind!r}")
    location, target = parse_uri(uri), Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ArtifactError(location.uri, f"{target} is not an empty folder")
    target.mkdir(parents=True, exist_ok=True)
    store = open_store(location)
    try:
        for entry in manifest.files:
            _fetch_file(store, location, target, entry)
    except BaseException:
        _empty(target)
        raise
    return manifest


def read_files(uri: str, manifest: Manifest, paths: Container[str] | None = None) -> dict[str, bytes]:
    """Return the content of an artifact's files by path, or of some of them, verified; they need not be on a disk."""
    location = parse_uri(uri)
    store = open_store(location)
    contents = {}
    for entry in manifest.files:
        if paths is not None and entry.path not in paths:
            continue
        with store.open_file(location, entry.path) as source:
            copy_verified(location.uri, source, content := BytesIO(), entry)
        contents[entry.path] = content.getvalue()
    return contents


def publish(
    folder: str | os.PathLike[str],
    uri: str,
    *,
    kind: str,
    producer: str,
    parents: Iterable[Parent] = (),
    parameters: Mapping[str, JsonValue] | None = None,
    signature: Signature | None = None,
    replace: bool = False,
    retry_seconds: float = 0.0,
    on_unavailable: Callable[[StoreUnavailable], None] = lambda _: None,
    files: Iterable[str] | None = None,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> Manifest:
    """Publish a folder's files at a URI and return the manifest.

    Publishing equal content again is a no-op. Other content at the URI raises ArtifactError; with `replace=True`, which
    is for results that are not final, it is replaced. StoreUnavailable is raised only after `retry_seconds`;
    `on_unavailable` is called with each one.
    `files` are the relative paths of the files to publish (default: all of the folder's). `on_bytes` is called with the
    size of each chunk that was read: every file is read twice, to hash it and to write it.
    It is signed if FAIRLEAD_SIGNING_KEY_FILE names a key (`signing.py`).
    """
    key = SigningKey.from_environment()  # before the work, so that a wrong key costs none
    location, source = parse_uri(uri), Source(Path(folder), on_bytes)
    paths = _list_files(location, source.folder) if files is None else _check_files(location, source.folder, files)
    entries = [read_entry(source, path) for path in paths]
    manifest = build_manifest(
        location.uri,
        entries,
        kind=kind,
        producer=producer,
        parents=parents,
        parameters=parameters,
        signature=signature,
    )
    retry_unavailable(
        lambda: _publish_once(location, source, manifest, replace), retry_seconds, on_unavailable=on_unavailable
    )
    if key is not None:
        retry_unavailable(
            lambda: sign(location.uri, manifest.digest, key), retry_seconds, on_unavailable=on_unavailable
        )
    return manifest


def delete(uri: str, digest: str | None = None) -> None:
    """Remove an artifact; one that is absent is no error. Raise ArtifactError for another digest than the given one."""
    location = parse_uri(uri)
    try:
        manifest = read_manifest(location.uri, digest)
    except ArtifactNotFound:
        return
    open_store(location).delete(location, manifest)


def list_artifacts(uri: str, skip: Callable[[ArtifactError], None] | None = None) -> Iterator[tuple[str, Manifest]]:
    """Yield the URI and manifest of every artifact at and below a URI.

    Other programs write files named manifest.json, too: what is no artifact is passed to `skip` and left out.
    """
    location = parse_uri(uri)
    store = open_store(location)
    for found in store.find(location):
        try:
            manifest = _read(store, found)
        except StoreUnavailable:
            raise
        except ArtifactError as error:
            if skip is not None:
                skip(error)
            continue
        if manifest is not None:
            yield found.uri, manifest


def _publish_once(location: Location, source: Source, manifest: Manifest, replace: bool) -> None:
    store = open_store(location)
    old = _read(store, location)
    if old is not None and old.digest == manifest.digest:
        return
    if old is not None and not replace:
        raise ArtifactError(
            location.uri, f"has other content ({old.digest}); expected no artifact or {manifest.digest}"
        )
    _write(store, location, source, manifest, old)


def _read(store: Store, location: Location) -> Manifest | None:
    content = store.read_manifest(location)
    return None if content is None else parse_manifest(location.uri, content)


def _write(store: Store, location: Location, source: Source, manifest: Manifest, old: Manifest | None) -> None:
    try:
        store.write(location, source, manifest, old)
    except ArtifactError:
        # Two writers may race with equal content; the slower one finds the artifact already published.
        winner = _read(store, location)
        if winner is None or winner.digest != manifest.digest:
            raise


def _list_files(location: Location, folder: Path) -> list[str]:
    """List a folder's files by relative path; raise ArtifactError for anything but plain files and folders."""
    if not folder.is_dir():
        raise ArtifactError(location.uri, f"{folder} is not a folder; expected one with the artifact's files")
    paths = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise ArtifactError(location.uri, f"{path} is a link or a device; expected plain files")
        if path.is_file():
            check_file_path(location.uri, name)
            paths.append(name)
    if not paths:
        raise ArtifactError(location.uri, f"{folder} contains no files; expected at least one")
    return paths


def _check_files(location: Location, folder: Path, files: Iterable[str]) -> list[str]:
    """Return the named files of a folder; raise ArtifactError for what is none, or lies behind a link."""
    paths = sorted(set(files))
    for path in paths:
        check_file_path(location.uri, path)
        file = folder / path
        for part in (file, *file.parents[: path.count("/")]):
            if part.is_symlink():
                raise ArtifactError(location.uri, f"{part} is a link; expected plain files and folders")
        if not file.is_file():
            raise ArtifactError(location.uri, f"{file} is no file; expected plain files")
    if not paths:
        raise ArtifactError(location.uri, f"got no files of {folder}; expected at least one")
    return paths


def _fetch_file(store: Store, location: Location, target: Path, entry: FileEntry) -> None:
    file = target / entry.path
    with LocalFile.create(file) as copy, store.open_file(location, entry.path) as source:
        copy_verified(location.uri, source, copy, entry)


def _empty(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
