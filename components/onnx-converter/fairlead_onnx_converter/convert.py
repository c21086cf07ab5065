"""The conversion: fetch model and dataset, convert, compare, and publish an onnx-model artifact."""

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from fairlead_artifacts import PUBLISH_SECONDS, ArtifactError, Manifest, Parent, fetch, publish
from fairlead_contracts.model_uri import MODEL_FILE
from fairlead_contracts.parity import ConversionParity, ConversionTable

from . import __version__
from .parity import Limits, check_parity, measure_parity
from .reference import write_reference
from .sources import load_source
from .splits import Affine, load_split

PRODUCER = f"fairlead-onnx-converter/{__version__}"
PARITY_FILE = "parity.json"


@dataclass(frozen=True)
class Pinned:
    """An artifact to read: its URI and, if it is pinned, its digest."""

    uri: str
    digest: str | None = None


@dataclass(frozen=True)
class Request:
    """The model to convert, the dataset for the comparison, and the limits for the result."""

    model: Pinned
    dataset: Pinned
    out_uri: str
    split: str
    affine: Affine
    limits: Limits
    reference_split: str | None = None
    """The split that the model's reference describes; None for `train`, if there is one."""


def convert(request: Request) -> tuple[Manifest, ConversionParity]:
    """Convert, compare, publish; raise ConversionRejected, ConversionFailed or ArtifactError without publishing."""
    with tempfile.TemporaryDirectory() as folder:
        model, data, out = Path(folder, "model"), Path(folder, "data"), Path(folder, "out")
        model_manifest = _fetch(request.model, model, "model")
        dataset_manifest = _fetch(request.dataset, data, "dataset")
        source = load_source(model)
        split = load_split(data, request.split, source.inputs, request.affine)
        out.mkdir()
        signature = source.export(out / MODEL_FILE)
        parity = measure_parity(source, signature, out / MODEL_FILE, split, request.limits)
        check_parity(parity, request.limits)
        write_reference(out, data, signature, request.reference_split, request.affine)
        table = ConversionTable(**dict(parity), split=request.split, **asdict(request.affine), **asdict(request.limits))
        figures = table.to_json()
        (out / PARITY_FILE).write_text(json.dumps(figures, indent=1, sort_keys=True))
        manifest = publish(
            out,
            request.out_uri,
            kind="onnx-model",
            producer=PRODUCER,
            parents=[
                Parent("model", model_manifest.digest, request.model.uri),
                Parent("dataset", dataset_manifest.digest, request.dataset.uri),
            ],
            parameters=figures,
            signature=signature,
            retry_seconds=PUBLISH_SECONDS,
        )
    return manifest, parity


def _fetch(place: Pinned, folder: Path, kind: str) -> Manifest:
    manifest = fetch(place.uri, folder, place.digest)
    if manifest.kind != kind:
        raise ArtifactError(place.uri, f"is of kind {manifest.kind!r}, expected {kind!r}")
    return manifest
