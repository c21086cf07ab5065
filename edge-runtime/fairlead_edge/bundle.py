"""A bundle: a folder with a model, its preprocessing and postprocessing, and their digests.

A bundle is an artifact of kind edge-bundle. Its folder includes manifest.json, so it can be copied to a device by any
means: all files are compared with the manifest before the model is loaded.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairlead_artifacts import ArtifactError, StoreUnavailable, read_files, read_manifest
from fairlead_contracts.edge_bundle import (
    BUNDLE_FILE,
    KIND,
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
    """Verify and load the bundle at a URI or in a folder; raise InvalidBundle, or StoreUnavailable.

    With a digest, every byte is verified to be that of the bundle with this digest. Without one, the files are verified
    against the manifest only, which anyone can write: its producer, parents and parameters prove nothing.
    """
    uri = place if "://" in place else Path(place).absolute().as_uri()
    try:
        manifest = read_manifest(uri, digest)
        if manifest.kind != KIND:
            raise InvalidBundle(f"{uri}: is of kind {manifest.kind!r}, expected {KIND!r}")
        # read once into memory, so that the files cannot change between verification and loading
        contents = read_files(uri, manifest)
    except StoreUnavailable:
        raise
    except ArtifactError as error:
        raise InvalidBundle(str(error)) from None
    description = read_description(contents)
    files = {name: _read_file(contents, name, uri, expected) for name, expected in description.files.items()}
    test = description.self_test
    self_test = _read_file(contents, SELF_TEST_FILE, uri, test.sha256) if test else b""
    return Bundle(description, files, manifest.digest, self_test, contents.get(REFERENCE_FILE, b""))


def _read_file(contents: Mapping[str, bytes], name: str, uri: str, expected: str) -> bytes:
    if name not in contents:
        raise InvalidBundle(f"{uri}: {name} is missing")
    if (actual := hashlib.sha256(contents[name]).hexdigest()) != expected:
        raise InvalidBundle(f"{uri}: {name} has SHA-256 {actual}, expected {expected} as in {BUNDLE_FILE}")
    return contents[name]


def read_description(contents: Mapping[str, bytes]) -> BundleDescription:
    """Return what bundle.json says; raise InvalidBundle."""
    if BUNDLE_FILE not in contents:
        raise InvalidBundle(f"{BUNDLE_FILE} is missing from the bundle")
    try:
        return BundleDescription.parse_json(contents[BUNDLE_FILE], BUNDLE_FILE)
    except ContractError as error:
        raise InvalidBundle(f"{BUNDLE_FILE}: {error}") from None
