"""The command `fairlead-onnx-converter`: exits with 0 if published, 2 if rejected, 1 if the conversion failed."""

import argparse
import json
import sys
from math import isfinite
from pathlib import Path

from fairlead_artifacts import ArtifactError, Manifest
from fairlead_contracts.parity import ConversionParity
from fairlead_contracts.termination import LIMIT, PublishedModel, SuccessReport, write_report
from fairlead_datasets.errors import Unusable
from fairlead_datasets.splits import Affine

from .convert import Pinned, Request, convert, find_published
from .errors import ConversionRejected
from .parity import Limits
from .scaler import publish_scaler

_REJECTED = 2


def main(arguments: list[str] | None = None) -> int:
    """Convert a model, or make a scaler."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        return _make_scaler(words[1:]) if words[:1] == ["scaler"] else _convert(words)
    except ConversionRejected as error:
        sys.stderr.write(f"fairlead-onnx-converter: rejected, nothing was published: {error}\n")
        return _REJECTED
    except (ArtifactError, Unusable) as error:
        sys.stderr.write(f"fairlead-onnx-converter: {error}\n")
        return 1


def _convert(words: list[str]) -> int:
    # Longer than 40 lines: one option a line.
    parser = _parser("fairlead-onnx-converter", f"{__doc__} See also `fairlead-onnx-converter scaler --help`.")
    parser.add_argument("--model", required=True, metavar="URI")
    parser.add_argument("--digest", metavar="sha256:…", help="the model's digest; reject any other content")
    parser.add_argument("--dataset", required=True, metavar="URI")
    parser.add_argument("--dataset-digest", metavar="sha256:…")
    parser.add_argument("--split", default="eval", help="the split to compare on (default: eval)")
    parser.add_argument(
        "--reference-split", metavar="NAME", help="the split that live requests are compared with (default: train)"
    )
    parser.add_argument("--min-accuracy", type=float, default=0.95, help="0 for models that are not classifiers")
    parser.add_argument("--atol", type=float, default=1e-4)
    parser.add_argument("--rtol", type=float, default=1e-3)
    parser.add_argument(
        "--min-examples", type=int, default=30, metavar="N",
        help="reject a comparison of fewer examples (default: 30: if none differs, the share that does is below 10 %%)",
    )  # fmt: skip
    parser.add_argument(
        "--max-different", type=int, default=0, metavar="N", help="examples that may differ (default: 0)"
    )
    parser.add_argument("--opset", type=int, metavar="N", help="the opset of the ONNX file (default: the exporter's)")
    parser.add_argument(
        "--no-parity", action="store_true",
        help="publish an ONNX file that comes without the original's outputs; it has no figures of parity then",
    )  # fmt: skip
    parser.add_argument(
        "--resume", action="store_true",
        help="if this conversion is at --out-uri already, by a run that was ended before it could say so, report that",
    )  # fmt: skip
    parser.add_argument("--termination-log", type=Path, metavar="FILE", help="write a termination report to this file")
    parser.add_argument("--termination-bytes", type=int, default=LIMIT, metavar="N", help="the longest report")
    options = parser.parse_args(words)
    request = Request(
        model=Pinned(options.model, options.digest),
        dataset=Pinned(options.dataset, options.dataset_digest),
        out_uri=options.out_uri,
        split=options.split,
        affine=Affine(options.scale, options.offset),
        limits=Limits(options.atol, options.rtol, options.min_accuracy, options.min_examples, options.max_different),
        opset=options.opset,
        parity=not options.no_parity,
        reference_split=options.reference_split,
    )
    manifest, parity = find_published(request) if options.resume else None, None
    if manifest is None:
        manifest, parity = convert(request)
        sys.stdout.write(_build_table(parity) if parity else "parity was not measured\n")
    _report(options, manifest, parity)
    if options.termination_log:
        model = PublishedModel(uri=options.out_uri, digest=manifest.digest)
        write_report(options.termination_log, SuccessReport(model=model), options.termination_bytes)
    return 0


def _make_scaler(words: list[str]) -> int:
    parser = _parser("fairlead-onnx-converter scaler", "Make a transformer: value * scale + offset.")
    parser.add_argument("--shape", required=True, type=_parse_shape, help="without the batch: 1,8,8; -1 is free")
    options = parser.parse_args(words)
    _report(options, publish_scaler(Affine(options.scale, options.offset), options.shape, options.out_uri))
    return 0


def _parser(program: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--out-uri", required=True, metavar="URI", help="URI of the onnx-model artifact to publish")
    parser.add_argument("--scale", type=float, default=1.0, help="the model's input is value * scale + offset")
    parser.add_argument("--offset", type=float, default=0.0)
    parser.add_argument("--out", type=Path, help="write {uri, digest, …} to this file, as JSON")
    return parser


def _parse_shape(text: str) -> list[int]:
    sizes = [int(size) for size in text.split(",")]
    if any(size == 0 or size < -1 for size in sizes):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected sizes of at least 1, or -1")
    return sizes


def _build_table(parity: ConversionParity) -> str:
    rows = {
        "examples": f"{parity.examples}",
        "largest difference": f"{parity.max_abs_difference:.3g}",
        "largest relative difference": f"{parity.max_rel_difference:.3g}",
        "different examples": f"{parity.different_examples}, at most {parity.different_bound:.2%} with 95 % confidence",
        "different classes": "-" if parity.different_classes is None else f"{parity.different_classes}",
        "accuracy of the source": "-" if parity.source_accuracy is None else f"{parity.source_accuracy:.4f}",
        "accuracy in ONNX Runtime": "-" if parity.onnx_accuracy is None else f"{parity.onnx_accuracy:.4f}",
    }
    return "".join(f"{name:<30}{value}\n" for name, value in rows.items())


def _report(options: argparse.Namespace, manifest: Manifest, parity: ConversionParity | None = None) -> None:
    result = {"uri": options.out_uri, "digest": manifest.digest, "parameters": dict(manifest.parameters)}
    figures = parity.model_dump() if parity else {}
    finite = {name: value for name, value in figures.items() if isinstance(value, int | float) and isfinite(value)}
    result["parity"] = finite
    sys.stdout.write(f"published {options.out_uri} ({manifest.digest}, {manifest.size:,} bytes)\n")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result))


if __name__ == "__main__":
    sys.exit(main())
