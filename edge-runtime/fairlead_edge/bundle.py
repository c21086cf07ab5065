"""A bundle: a folder with a model, its preprocessing and postprocessing, and their digests.

A bundle is an artifact of kind edge-bundle. Its folder includes manifest.json, so it can be copied to a device by any
means: all files are compared with the manifest before the model is loaded.
"""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairlead_artifacts import ArtifactError, fetch
from fairlead_contracts.edge_bundle import (
    BUNDLE_FILE,
    KIND,
    MAX_BYTES,
    REFERENCE_FILE,
    SELF_TEST_FILE,
    BundleDescription,
)
from fairlead_contracts.errors import ContractError

from .errors import InvalidBundle


@dataclass(frozen=True)
class Bundle:
    """A verified bundle in memory; it is not read from disk again."""

    description: BundleDescription
    files: Mapping[str, bytes]
    """The model's files, by name."""
    digest: str
    self_test: bytes = b""
    """The file self-test.npz; empty if the bundle has none."""
    reference: bytes = b""
    """The file reference.json, which describes the training data; empty if the bundle has none."""


def open_bundle(place: str, digest: str | None = None) -> Bundle:
    """Verify and load the bundle at a URI or in a folder; raise InvalidBundle.

    With a digest, every byte is verified to be that of the bundle with this digest. Without one, the files are verified
    against the manifest only, which anyone can write: its producer, parents and parameters prove nothing.
    """
    uri = place if "://" in place else Path(place).absolute().as_uri()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "bundle")
        try:
            # Fetch into a temporary folder, so that the files cannot change between verification and loading.
            manifest = fetch(uri, target, digest)
        except ArtifactError as error:
            raise InvalidBundle(str(error)) from None
        if manifest.kind != KIND:
            raise InvalidBundle(f"{uri}: is of kind {manifest.kind!r}, expected {KIND!r}")
        description = _read_description(target / BUNDLE_FILE)
        files = {name: _read_file(target / name, uri, expected) for name, expected in description.files.items()}
        test = description.self_test
        self_test = _read_file(target / SELF_TEST_FILE, uri, test.sha256) if test else b""
        reference = target / REFERENCE_FILE
        described = reference.read_bytes() if reference.is_file() else b""
    return Bundle(description, files, manifest.digest, self_test, described)


def _read_file(file: Path, uri: str, expected: str) -> bytes:
    try:
        content = file.read_bytes()
    except OSError:
        raise InvalidBundle(f"{uri}: {file.name} is missing") from None
    if (actual := hashlib.sha256(content).hexdigest()) != expected:
        raise InvalidBundle(f"{uri}: {file.name} has SHA-256 {actual}, expected {expected} as in {BUNDLE_FILE}")
    return content


def _read_description(file: Path) -> BundleDescription:
    try:
        with file.open("rb") as opened:
            return BundleDescription.parse_json(opened.read(MAX_BYTES + 1), file.name)
    except OSError:
        raise InvalidBundle(f"{file.name} is missing from the bundle") from None
    except ContractError as error:
        raise InvalidBundle(f"{file.name}: {error}") from None
