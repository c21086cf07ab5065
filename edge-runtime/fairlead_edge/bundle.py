"""A bundle: a folder with a model, what stands before and after it, and the digests of it all.

A bundle is an artifact of kind edge-bundle, and stays one when its folder is copied to a device by any means:
manifest.json comes with it, and everything is compared with it before a model is loaded.
"""

import hashlib
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fairlead_artifacts import ArtifactError, fetch

from .errors import BundleRefused

KIND = "edge-bundle"
MODEL_FILE, BUNDLE_FILE, PARITY_FILE = "model.onnx", "bundle.json", "parity.json"
SCHEMA = "fairlead.dev/edge-bundle/v1"


@dataclass(frozen=True)
class Preprocessing:
    """What stands before the model: value * scale + offset."""

    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class Description:
    """bundle.json: all that the runtime needs to know beside the model."""

    name: str
    preprocessing: Preprocessing
    labels: tuple[str, ...]
    """Names of the classes, by the first output's columns; empty: the model is no classifier."""
    sha256: str
    """Of the model file."""

    def write(self, folder: Path) -> None:
        """Write bundle.json."""
        document = {"schema": SCHEMA, **asdict(self)}
        (folder / BUNDLE_FILE).write_text(json.dumps(document, indent=1, sort_keys=True))


@dataclass(frozen=True)
class Bundle:
    """A verified bundle in memory: nothing is read from disk again."""

    description: Description
    model: bytes
    digest: str


def open_bundle(place: str, digest: str | None = None) -> Bundle:
    """Verify the bundle at a URI or in a folder, and load it; raise BundleRefused."""
    uri = place if "://" in place else Path(place).absolute().as_uri()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "bundle")
        try:
            # Into a folder of our own: what is verified is what is loaded.
            manifest = fetch(uri, target, digest)
        except ArtifactError as error:
            raise BundleRefused(str(error)) from None
        if manifest.kind != KIND:
            raise BundleRefused(f"{uri}: is of kind {manifest.kind!r}, expected {KIND!r}")
        description = _read_description(target / BUNDLE_FILE)
        try:
            model = (target / MODEL_FILE).read_bytes()
        except OSError:
            raise BundleRefused(f"{uri}: has no file {MODEL_FILE}") from None
    actual = hashlib.sha256(model).hexdigest()
    if actual != description.sha256:
        raise BundleRefused(f"{uri}: {MODEL_FILE} has SHA-256 {actual}, {BUNDLE_FILE} says {description.sha256}")
    return Bundle(description, model, manifest.digest)


def _read_description(file: Path) -> Description:
    try:
        document: Any = json.loads(file.read_bytes())
        if document["schema"] != SCHEMA:
            raise BundleRefused(f"{file.name} schema: got {document['schema']!r}, expected {SCHEMA!r}")
        before = document["preprocessing"]
        return Description(
            name=str(document["name"]),
            preprocessing=Preprocessing(float(before["scale"]), float(before["offset"])),
            labels=tuple(map(str, document["labels"])),
            sha256=str(document["sha256"]),
        )
    except OSError:
        raise BundleRefused(f"the bundle has no file {file.name}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise BundleRefused(f"{file.name}: expected schema, name, preprocessing, labels, sha256: {error!r}") from None
