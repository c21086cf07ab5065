"""A bundle: a folder with a model, its preprocessing and postprocessing, and the digests of it all.

A bundle is an artifact of kind edge-bundle, and stays one when its folder is copied to a device by any means:
manifest.json comes with it, and everything is compared with it before a model is loaded.
"""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fairlead_artifacts import ArtifactError, fetch
from fairlead_contracts.edge_bundle import BUNDLE_FILE, KIND, MAX_BYTES, MODEL_FILE, BundleDescription
from fairlead_contracts.errors import ContractError

from .errors import InvalidBundle


@dataclass(frozen=True)
class Bundle:
    """A verified bundle in memory: nothing is read from disk again."""

    description: BundleDescription
    model: bytes
    digest: str


def open_bundle(place: str, digest: str | None = None) -> Bundle:
    """Verify the bundle at a URI or in a folder, and load it; raise InvalidBundle.

    With a digest, every byte is that of the bundle with this digest. Without, every file is what the manifest says, but
    the manifest may be anyone's: its producer, parents and parameters prove nothing.
    """
    uri = place if "://" in place else Path(place).absolute().as_uri()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "bundle")
        try:
            # Into a folder of our own: what is verified is what is loaded.
            manifest = fetch(uri, target, digest)
        except ArtifactError as error:
            raise InvalidBundle(str(error)) from None
        if manifest.kind != KIND:
            raise InvalidBundle(f"{uri}: is of kind {manifest.kind!r}, expected {KIND!r}")
        description = _read_description(target / BUNDLE_FILE)
        try:
            model = (target / MODEL_FILE).read_bytes()
        except OSError:
            raise InvalidBundle(f"{uri}: has no file {MODEL_FILE}") from None
    actual = hashlib.sha256(model).hexdigest()
    if actual != description.sha256:
        raise InvalidBundle(f"{uri}: {MODEL_FILE} has SHA-256 {actual}, {BUNDLE_FILE} says {description.sha256}")
    return Bundle(description, model, manifest.digest)


def _read_description(file: Path) -> BundleDescription:
    try:
        with file.open("rb") as opened:
            return BundleDescription.parse_json(opened.read(MAX_BYTES + 1), file.name)
    except OSError:
        raise InvalidBundle(f"the bundle has no file {file.name}") from None
    except ContractError as error:
        raise InvalidBundle(f"{file.name}: {error}") from None
