"""The conversion: fetch model and dataset, convert, compare, and publish an onnx-model artifact."""

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fairlead_artifacts import (
    PUBLISH_SECONDS,
    ArtifactNotFound,
    Manifest,
    Parent,
    fetch,
    publish,
    read_manifest,
)
from fairlead_contracts.model_uri import MODEL_FILE
from fairlead_contracts.parity import ConversionParity, ConversionTable
from fairlead_contracts.signature import Signature
from fairlead_datasets.onnx_models import run_model
from fairlead_datasets.splits import Affine, Split, load_split

from . import __version__
from .errors import ConversionFailed
from .parity import Limits, check_alone, check_parity, measure_accuracy, measure_parity
from .reference import write_reference
from .sources import SourceModel, load_source

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
    opset: int | None = None
    """The opset of the ONNX file; None for the exporter's own."""
    parity: bool = True
    """False to convert an ONNX file of which no outputs were recorded."""


def convert(request: Request) -> tuple[Manifest, ConversionParity | None]:
    """Convert, compare, publish; raise ConversionRejected, ConversionFailed or ArtifactError without publishing.

    The figures are None if there was nothing to compare with, and the request says that this is intended.
    """
    with tempfile.TemporaryDirectory() as folder:
        model, data, out = Path(folder, "model"), Path(folder, "data"), Path(folder, "out")
        model_manifest = fetch(request.model.uri, model, request.model.digest, "model")
        dataset_manifest = fetch(request.dataset.uri, data, request.dataset.digest, "dataset")
        source = load_source(model)
        split = load_split(data, request.split, source.inputs, request.affine)
        out.mkdir()
        signature = source.export(out / MODEL_FILE, request.opset)
        parity, figures = _compare(source, signature, out, split, request)
        write_reference(out, data, signature, request.reference_split, request.affine)
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


def find_published(request: Request) -> Manifest | None:
    """Return what an earlier conversion of the same model, dataset and limits has published; raise ArtifactError.

    Two conversions of a model need not have the same bytes, so that the second one could not be published.
    """
    try:
        found = read_manifest(request.out_uri)
    except ArtifactNotFound:
        return None
    expected = {"split": request.split, **asdict(request.affine), **asdict(request.limits)}
    same = found.kind == "onnx-model" and expected.items() <= dict(found.parameters or {}).items()
    parents = {parent.name: parent.digest for parent in found.parents}
    return found if same and parents == {"model": request.model.digest, "dataset": request.dataset.digest} else None


def _compare(
    source: SourceModel, signature: Signature, out: Path, split: Split, request: Request
) -> tuple[ConversionParity | None, dict[str, Any]]:
    """Compare both models; return the figures, and what the manifest says of them. Writes parity.json."""
    limits = request.limits
    expected = source.run(split)
    _check_request(source, expected is not None, request.parity)
    actual = run_model(signature, out / MODEL_FILE, split)
    if expected is None:
        accuracy = measure_accuracy(actual[0], split)
        check_alone(len(split), accuracy, limits)
        measured = {"examples": len(split), "onnx_accuracy": accuracy, "split": request.split, "source": source.name}
        # not the figures of a comparison: a deployment that requires provenance does not accept this model
        return None, {"parity": "not measured", **measured, **asdict(request.affine)}
    parity = measure_parity(signature, expected, actual, split, limits)
    check_parity(parity, limits)
    fixed = {"split": request.split, "source": source.name, **asdict(request.affine), **asdict(limits)}
    figures = ConversionTable(**dict(parity), **fixed).to_json()
    (out / PARITY_FILE).write_text(json.dumps(figures, indent=1, sort_keys=True))
    return parity, figures


def _check_request(source: SourceModel, comparable: bool, parity: bool) -> None:
    if not comparable and parity:
        raise ConversionFailed(
            f"model: got {source.file} without the original, expected its outputs for the split in expected.npz, an "
            "array for each output; or --no-parity, to publish without figures"
        )
    if comparable and not parity:
        raise ConversionFailed(f"--no-parity: got a model that can be compared ({source.name}), expected none of it")
