"""Build a bundle from an onnx-model artifact; it is published only if its accuracy drops little enough."""

import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fairlead_artifacts import PUBLISH_SECONDS, ArtifactError, Manifest, Parent, fetch, publish
from fairlead_contracts.edge_bundle import (
    BUNDLE_FILE,
    KIND,
    MODEL_FILE,
    PARITY_FILE,
    BundleDescription,
    Preprocessing,
)
from fairlead_contracts.parity import BundleParity, BundleTable

from . import __version__
from .parity import check_parity, measure_parity
from .splits import load_split
from .targets import DEFAULT, find_target
from .targets.base import Target

PRODUCER = f"fairlead-edge/{__version__}"


@dataclass(frozen=True)
class BundleRequest:
    """The bundle to build, its sources, and the maximum drop in accuracy."""

    model_uri: str
    dataset_uri: str
    out_uri: str
    name: str
    preprocessing: Preprocessing
    labels: tuple[str, ...]
    """Class names; if empty, classes are numbered."""
    max_drop: float
    model_digest: str | None = None
    dataset_digest: str | None = None
    target: str = DEFAULT
    """The name of the target."""
    calibration_split: str = "train"
    parity_split: str = "test"


def build_bundle(request: BundleRequest) -> tuple[Manifest, BundleParity]:
    """Build, compare and publish a bundle.

    Raises BundleRejected, UnknownTarget, InputUnusable or ArtifactError; nothing is published then.
    """
    target = find_target(request.target)
    with tempfile.TemporaryDirectory() as folder:
        source, data, out = Path(folder, "source"), Path(folder, "data"), Path(folder, "out")
        model = _fetch(request.model_uri, source, request.model_digest, "onnx-model")
        dataset = _fetch(request.dataset_uri, data, request.dataset_digest, "dataset")
        calibration = load_split(data, request.calibration_split, request.preprocessing)
        held_out = load_split(data, request.parity_split, request.preprocessing)
        out.mkdir()
        target.build(source / MODEL_FILE, out, calibration.examples)
        parity = measure_parity(source / MODEL_FILE, out, target, held_out)
        check_parity(parity, request.max_drop)
        _write_description(request, target, out)
        figures = BundleTable(**dict(parity), split=request.parity_split, max_drop=request.max_drop).to_json()
        (out / PARITY_FILE).write_text(json.dumps(figures, indent=1, sort_keys=True))
        manifest = publish(
            out,
            request.out_uri,
            kind=KIND,
            producer=PRODUCER,
            parents=[
                Parent("model", model.digest, request.model_uri),
                Parent("dataset", dataset.digest, request.dataset_uri),
            ],
            parameters={**figures, **request.preprocessing.to_json()},
            signature=model.signature,
            retry_seconds=PUBLISH_SECONDS,
        )
    return manifest, parity


def _write_description(request: BundleRequest, target: Target, out: Path) -> None:
    description = BundleDescription(
        name=request.name,
        preprocessing=request.preprocessing,
        labels=request.labels,
        target=target.name,
        files={name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in target.files},
    )
    (out / BUNDLE_FILE).write_text(description.to_text())


def _fetch(uri: str, folder: Path, digest: str | None, kind: str) -> Manifest:
    manifest = fetch(uri, folder, digest)
    if manifest.kind != kind:
        raise ArtifactError(uri, f"is of kind {manifest.kind!r}, expected {kind!r}")
    return manifest
