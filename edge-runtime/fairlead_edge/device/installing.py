"""Bring a release onto a device and offer it to the server; what runs is not touched.

Nothing is offered that is not whole, signed or of the expected digest, for this device, and new enough. An installation
that is interrupted at any step leaves what was offered before.
"""

import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fairlead_artifacts import (
    ArtifactError,
    Manifest,
    NotSigned,
    PublicKey,
    StoreUnavailable,
    fetch,
    parse_digest,
    publish,
    read_files,
    read_manifest,
    verify,
)
from fairlead_contracts.edge_bundle import BUNDLE_FILE, KIND, BundleDescription

from ..bundle import read_description
from ..errors import InputUnusable, InvalidBundle
from ..package import Package
from ..targets import UnknownTarget, find_target
from .folder import INSTALLATION, Damaged, Folder
from .removing import remove_unlocked
from .slots import Offer, Release, Slots

_SPARE = 16 << 20
"""The bytes that stay free on the disk: for the small files, and for what else runs on the device."""
_COPIES = 3
"""How often a release is on the disk while it is installed."""


@dataclass(frozen=True)
class Trust:
    """What a release has to prove; one of both at least."""

    digest: str | None = None
    """The digest that it must have."""
    keys: Sequence[PublicKey] = ()
    """The keys of which one must have signed it."""


def install(folder: Folder, place: str, trust: Trust, older: bool = False) -> Offer:
    """Fetch, verify and offer the release at a URI, in a folder or in a package.

    Raises InvalidBundle if this device must not run it, InputUnusable if it cannot be installed now, ArtifactError if
    its place does not answer, or OSError.
    """
    if trust.digest is None and not trust.keys:
        raise InputUnusable("got neither a digest nor a public key; expected one of them, which proves the release")
    with _locked(folder), _source(folder, place) as source:
        slots = _read_slots(folder)
        manifest = _read_trusted(source.uri, trust)
        whole = _is_whole(folder, manifest.digest)
        if not whole:
            _check_space(folder, manifest)
            source.complete()
        uri = folder.place(manifest.digest).as_uri() if whole else source.uri
        description = _read_description(uri, manifest)
        _check_device(description, slots, older)
        _check_name(description, folder, slots)
        if not whole:
            shutil.rmtree(folder.place(manifest.digest), ignore_errors=True)
            _copy(folder, source.uri, manifest)
            folder.open(manifest.digest)
        return _offer(folder, Release(manifest.digest, description.version), older)


def roll_back(folder: Folder) -> Offer:
    """Offer the release before the one that runs, or is on trial; raise InputUnusable if there is none."""
    with _locked(folder):
        slots = _read_slots(folder)
        release = slots.good if slots.candidate else slots.previous
        if release is None:
            raise InputUnusable("there is no release before the one that runs")
        return _offer(folder, release, older=True)


@contextmanager
def _locked(folder: Folder) -> Iterator[None]:
    lock = folder.lock(INSTALLATION)
    if lock is None:
        raise InputUnusable("another installation is in progress")
    try:
        remove_unlocked(folder)
        yield
    finally:
        lock.close()


def _read_slots(folder: Folder) -> Slots:
    # what the server does about a damaged state is its own affair
    with suppress(Damaged):
        return folder.read_slots() or Slots()
    return Slots()


def _read_trusted(uri: str, trust: Trust) -> Manifest:
    """Return the manifest of a release that proves what it has to; raise InvalidBundle or ArtifactError."""
    manifest = read_manifest(uri)
    if trust.digest is not None and manifest.digest != trust.digest:
        raise InvalidBundle(f"{uri}: digest is {manifest.digest}, expected {trust.digest}")
    if manifest.kind != KIND:
        raise InvalidBundle(f"{uri}: is of kind {manifest.kind!r}, expected {KIND!r}")
    if trust.keys:
        try:
            verify(uri, manifest.digest, trust.keys)
        except NotSigned as error:
            raise InvalidBundle(str(error)) from None
    return manifest


def _is_whole(folder: Folder, digest: str) -> bool:
    with suppress(InvalidBundle, StoreUnavailable):
        folder.open(digest)
        return True
    return False


@dataclass(frozen=True)
class _Source:
    """Where a release is read from."""

    uri: str
    complete: Callable[[], None] = lambda: None
    """Make its files readable, once its manifest is trusted."""


@contextmanager
def _source(folder: Folder, place: str) -> Iterator[_Source]:
    """Yield where the release at a place can be read; a package is unpacked onto the disk for the block."""
    if "://" in place or not Path(place).is_file():
        yield _Source(place if "://" in place else Path(place).absolute().as_uri())
        return
    shutil.rmtree(folder.unpacked, ignore_errors=True)
    try:
        with Package.open(Path(place)) as package:
            package.write_proof(folder.unpacked)
            read_base = partial(_read_base, folder, package.head.base)
            yield _Source(folder.unpacked.as_uri(), lambda: package.write_files(folder.unpacked, read_base))
    finally:
        shutil.rmtree(folder.unpacked, ignore_errors=True)


def _read_base(folder: Folder, digest: str | None, path: str) -> bytes:
    """Return a file of the release that a patch needs, or nothing if that has none of this path."""
    base = folder.place(parse_digest(digest or "", subject="package.json base"))
    if not base.is_dir():
        raise InvalidBundle(f"the package is a patch of {digest}, which this device does not have")
    file = base / path
    return file.read_bytes() if file.is_file() and not file.is_symlink() else b""


def _check_space(folder: Folder, manifest: Manifest) -> None:
    free = shutil.disk_usage(folder.path).free
    if free < (needed := _COPIES * manifest.size + _SPARE):
        raise InputUnusable(f"the disk has {free:,} bytes left, expected {needed:,} for this release")


def _copy(folder: Folder, uri: str, manifest: Manifest) -> None:
    """Copy a release onto the disk: it appears there whole or not at all."""
    shutil.rmtree(folder.incoming, ignore_errors=True)
    try:
        fetch(uri, folder.incoming, manifest.digest)
        publish(
            folder.incoming,
            folder.place(manifest.digest).as_uri(),
            kind=manifest.kind,
            producer=manifest.producer,
            parents=manifest.parents,
            parameters=manifest.parameters,
            signature=manifest.signature,
        )
    finally:
        shutil.rmtree(folder.incoming, ignore_errors=True)
    folder.flush()


def _read_description(uri: str, manifest: Manifest) -> BundleDescription:
    try:
        return read_description(read_files(uri, manifest, [BUNDLE_FILE]))
    except StoreUnavailable:
        raise
    except ArtifactError as error:
        raise InvalidBundle(str(error)) from None


def _check_device(description: BundleDescription, slots: Slots, older: bool) -> None:
    """Raise InvalidBundle if a release is not for this device."""
    try:
        find_target(description.target)
    except UnknownTarget as error:
        raise InvalidBundle(str(error)) from None
    machine = platform.machine()
    if description.architectures and machine not in description.architectures:
        raise InvalidBundle(f"architectures: got {', '.join(description.architectures)}, expected {machine}")
    if not older and description.version < slots.floor:
        expected = f"at least {slots.floor}, which this device has run"
        raise InvalidBundle(f"version: got {description.version}, expected {expected}")


def _check_name(description: BundleDescription, folder: Folder, slots: Slots) -> None:
    """Raise InvalidBundle if clients would not find the model under the name that they know."""
    if slots.good is None:
        return
    try:
        name = folder.open(slots.good.digest).description.name
    except (InvalidBundle, StoreUnavailable):
        return
    if description.name != name:
        raise InvalidBundle(f"name: got {description.name!r}, expected {name!r}, which this device serves")


def _offer(folder: Folder, release: Release, older: bool) -> Offer:
    slots = _read_slots(folder)
    numbers = [slots.handled, slots.candidate.sequence if slots.candidate else 0]
    with suppress(Damaged):
        newest = folder.read_offer()
        numbers += [newest.sequence] if newest else []
    offer = Offer(max(numbers) + 1, release, older)
    folder.write_offer(offer)
    return offer
