"""The subcommand `predict`: what a model answers for each example of a split, as an artifact."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from fairlead_artifacts import PUBLISH_SECONDS, JsonValue, Manifest, Parent, fetch, publish
from fairlead_contracts.array_archives import write_arrays
from fairlead_contracts.model_uri import MODEL_FILE
from fairlead_datasets.onnx_models import find_classes, run_model

from . import __version__
from .evaluate import load_inputs

_PRODUCER = f"fairlead-evaluation/{__version__}"
_CLASSES = "classes"
"""The array of the predicted classes."""

Place = tuple[str, str | None]
"""A URI and, if it is pinned, a digest."""


def predict(model: Place, dataset: Place, split: str, out_uri: str) -> tuple[Manifest, int]:
    """Run a model on a split and publish its outputs as a dataset; return its manifest, and how many rows it has.

    The rows of `<split>.npz` are those of the split, in its order: an array for each output, by the output's name, and
    the classes where the outputs are such. Raise Unusable or ArtifactError without publishing.
    """
    with tempfile.TemporaryDirectory() as folder:
        files, data, out = Path(folder, "model"), Path(folder, "data"), Path(folder, "out")
        model_manifest = fetch(model[0], files, model[1], kind="onnx-model")
        dataset_manifest = fetch(dataset[0], data, dataset[1], kind="dataset")
        signature, loaded = load_inputs(model_manifest, data, split)
        outputs = run_model(signature, files / MODEL_FILE, loaded)
        arrays = {tensor.name: array for tensor, array in zip(signature.outputs, outputs, strict=True)}
        classes = find_classes(outputs[0], loaded)
        if classes is not None:
            arrays.setdefault(_CLASSES, classes)
        # no pickles: texts have an array of their own kind
        texts = {name: array.astype(str) if array.dtype.kind == "O" else array for name, array in arrays.items()}
        out.mkdir()
        write_arrays(out / f"{split}.npz", texts)
        parents = [
            Parent("model", model_manifest.digest, model[0]),
            Parent("dataset", dataset_manifest.digest, dataset[0]),
        ]
        parameters: dict[str, JsonValue] = {"split": split, "rows": len(loaded)}
        manifest = publish(
            out, out_uri, kind="dataset", producer=_PRODUCER, parents=parents, parameters=parameters,
            retry_seconds=PUBLISH_SECONDS,
        )  # fmt: skip
    return manifest, len(loaded)


def run(words: list[str]) -> int:
    """Predict and write what was published; raise Unusable or ArtifactError."""
    parser = argparse.ArgumentParser(prog="fairlead-evaluation predict", description=__doc__)
    parser.add_argument("--model", required=True, metavar="URI", help="an onnx-model artifact")
    parser.add_argument("--digest", metavar="sha256:…", help="the model's digest; reject any other content")
    parser.add_argument("--dataset", required=True, metavar="URI")
    parser.add_argument("--dataset-digest", metavar="sha256:…")
    parser.add_argument("--split", default="eval", help="the split to predict for (default: eval)")
    parser.add_argument("--out-uri", required=True, metavar="URI", help="of the dataset artifact to publish")
    parser.add_argument("--out", type=Path, help="write {uri, digest, rows} to this file, as JSON")
    options = parser.parse_args(words)
    model, dataset = (options.model, options.digest), (options.dataset, options.dataset_digest)
    manifest, rows = predict(model, dataset, options.split, options.out_uri)
    sys.stdout.write(f"published {options.out_uri} ({manifest.digest}): predictions for {rows:,} examples\n")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps({"uri": options.out_uri, "digest": manifest.digest, "rows": rows}))
    return 0
