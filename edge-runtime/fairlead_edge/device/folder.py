"""The folder of a device: the releases, and small files that are replaced whole and outlive a power cut.

bundles/<digest>/     a release
slots.json            the state, which the server alone writes; slots.copy.json is the same
offer.json            the newest offer, which installations alone write
incoming/, unpacked/  an installation in progress
"""

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from fairlead_artifacts import StoreUnavailable
from fairlead_artifacts.file_lock import FileLock
from fairlead_contracts.edge_bundle import MAX_VERSION
from fairlead_contracts.errors import ContractError
from fairlead_contracts.plain import get, load_json, require

from ..bundle import Bundle, open_bundle
from ..errors import InvalidBundle
from .slots import Offer, Rejection, Release, Slots

_MAX_BYTES = 64 << 10
_SLOTS, _COPY = "slots.json", "slots.copy.json"
_OFFER, _BUNDLES, _INCOMING, _UNPACKED = "offer.json", "bundles", "incoming", "unpacked"
INSTALLATION = "install"
"""The lock of an installation."""
_PREFIX, _DIGITS = "sha256:", 64
MAX_REASON = 1000
_T = TypeVar("_T")


class Damaged(Exception):
    """A file of the folder is not what was written."""


class Folder:
    """A device's folder."""

    def __init__(self, path: Path, create: bool = True) -> None:
        """Use a folder, which is created if it is missing; raise OSError."""
        self.path = path
        self.bundles = path / _BUNDLES
        self.incoming = path / _INCOMING
        self.unpacked = path / _UNPACKED
        if create:
            self.bundles.mkdir(parents=True, exist_ok=True)

    def lock(self, name: str) -> FileLock | None:
        """Return the lock of a role, which ends with this process; None if another process has it."""
        lock = FileLock(self.path / f".{name}.lock")
        if lock.wait(0):
            return lock
        lock.close()
        return None

    def read_slots(self) -> Slots | None:
        """Return the state, or None if there is none yet; raise Damaged."""
        try:
            return self._read(_SLOTS, _parse_slots)
        except Damaged:
            # a disk that loses one file need not lose both
            if (copy := self._read(_COPY, _parse_slots)) is None:
                raise
            return copy

    def write_slots(self, slots: Slots) -> None:
        """Replace the state; raise OSError."""
        # the copy first: whenever the state is lost, the copy is as new
        for name in (_COPY, _SLOTS):
            self._write(name, asdict(slots))

    def read_offer(self) -> Offer | None:
        """Return the newest offer, or None; raise Damaged."""
        return self._read(_OFFER, _parse_offer)

    def write_offer(self, offer: Offer) -> None:
        """Replace the offer; raise OSError."""
        self._write(_OFFER, asdict(offer))

    def place(self, digest: str) -> Path:
        """Return where a release is, or would be."""
        return self.bundles / digest.removeprefix(_PREFIX)

    def open(self, digest: str) -> Bundle:
        """Verify and load a release; raise InvalidBundle."""
        return open_bundle(str(self.place(digest)), digest)

    def list(self) -> list[Release]:
        """Return the releases that verify, the newest first."""
        found = []
        for folder in sorted(self.bundles.iterdir()):
            if len(folder.name) == _DIGITS:
                with suppress(InvalidBundle, StoreUnavailable):
                    bundle = self.open(_PREFIX + folder.name)
                    found.append(Release(bundle.digest, bundle.description.version))
        return sorted(found, key=lambda release: release.version, reverse=True)

    def remove_others(self, kept: frozenset[str]) -> None:
        """Remove the releases that are not kept, and what interrupted installations have left."""
        names = {digest.removeprefix(_PREFIX) for digest in kept}
        for folder in self.bundles.iterdir():
            if folder.name not in names:
                shutil.rmtree(folder, ignore_errors=True)

    def flush(self) -> None:
        """Make what was renamed in the folder outlive a power cut."""
        for folder in (self.bundles, self.path):
            _flush(folder)

    def _read(self, name: str, parse: Callable[[object], _T]) -> _T | None:
        try:
            with (self.path / name).open("rb") as file:
                content = file.read(_MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Damaged(f"{name}: {error.strerror}") from None
        try:
            return parse(load_json(content, _MAX_BYTES, name))
        except ContractError as error:
            raise Damaged(f"{name}: {error}") from None

    def _write(self, name: str, document: dict[str, Any]) -> None:
        written = self.path / f".{name}"
        with written.open("w") as file:
            json.dump(document, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        written.replace(self.path / name)
        _flush(self.path)


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _parse_slots(document: object) -> Slots:
    good, previous, candidate, rejected = (
        get(document, key, (dict, type(None)), "an object or null")
        for key in ("good", "previous", "candidate", "rejected")
    )
    return Slots(
        good=good and _parse_release(good),
        previous=previous and _parse_release(previous),
        candidate=candidate and _parse_offer(candidate),
        attempts=_parse_number(document, "attempts"),
        interruptions=_parse_number(document, "interruptions"),
        handled=_parse_number(document, "handled"),
        floor=_parse_number(document, "floor"),
        rejected=rejected and _parse_rejection(rejected),
    )


def _parse_rejection(document: object) -> Rejection:
    release = _parse_release(get(document, "release", dict, "an object"))
    return Rejection(release, get(document, "reason", str, "a string"))


def _parse_offer(document: object) -> Offer:
    release = _parse_release(get(document, "release", dict, "an object"))
    return Offer(_parse_number(document, "sequence"), release, get(document, "older", bool, "true or false"))


def _parse_release(document: object) -> Release:
    digest = get(document, "digest", str, "a digest")
    digits = digest.removeprefix(_PREFIX)
    valid = digest.startswith(_PREFIX) and len(digits) == _DIGITS and set(digits) <= set("0123456789abcdef")
    require(valid, "digest", digest, "sha256: and 64 lowercase hexadecimal digits")
    return Release(digest, _parse_number(document, "version"))


def _parse_number(document: object, key: str) -> int:
    number: int = get(document, key, int, "an integer")
    require(0 <= number <= MAX_VERSION, key, number, f"an integer of 0 to {MAX_VERSION}")
    return number
