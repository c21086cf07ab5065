"""The command `fairlead-edge`: build (quantize), verify and serve bundles. Exits with 2 if rejected, 1 on errors."""

import argparse
import asyncio
import json
import logging
import os
import sys
from pathlib import Path

from fairlead_artifacts import ArtifactError
from fairlead_contracts.edge_bundle import Preprocessing
from fairlead_serving.limits import InvalidSetting, Limits

from .bundle import Bundle, open_bundle
from .errors import BundleRejected, InputUnusable, InvalidBundle
from .server import DEFAULTS, describe, serve
from .targets import UnknownTarget

_REJECTED = 2


def main(arguments: list[str] | None = None) -> int:
    """Run one command."""
    options = _build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        {"quantize": _quantize, "verify": _verify, "serve": _serve}[options.command](options)
    except (InvalidBundle, BundleRejected) as error:
        sys.stderr.write(f"fairlead-edge: rejected: {error}\n")
        return _REJECTED
    except (ArtifactError, InputUnusable, UnknownTarget, OSError) as error:
        sys.stderr.write(f"fairlead-edge: {error}\n")
        return 1
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fairlead-edge", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    quantize = commands.add_parser(
        "quantize", help="build an int8 bundle from an onnx-model (requires the extra `quantize`)"
    )
    quantize.add_argument("--model", required=True, metavar="URI")
    quantize.add_argument("--digest", metavar="sha256:…", help="the model's digest; reject any other content")
    quantize.add_argument("--dataset", required=True, metavar="URI")
    quantize.add_argument("--dataset-digest", metavar="sha256:…")
    quantize.add_argument("--out-uri", required=True, metavar="URI")
    quantize.add_argument("--name", default="model", help="the model's name in requests")
    quantize.add_argument("--scale", type=float, default=1.0, help="the model's input is value * scale + offset")
    quantize.add_argument("--offset", type=float, default=0.0)
    quantize.add_argument("--labels", default="", help="class names, such as zero,one,two")
    quantize.add_argument("--calibration-split", default="train")
    quantize.add_argument("--split", default="test", help="held-out examples for the parity table")
    quantize.add_argument("--max-drop", type=float, default=0.01, help="maximum drop in accuracy, as a fraction")
    quantize.add_argument("--out", type=Path, help="write {uri, digest, parity} to this file, as JSON")
    for name, text in (
        ("verify", "compare a bundle with its manifest, and with --digest"),
        ("serve", "serve a bundle over HTTP"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--bundle", required=True, metavar="URI|FOLDER")
        command.add_argument(
            "--digest",
            metavar="sha256:…",
            help="reject any other bundle; without it, only the bundle's own manifest is checked",
        )
        if name == "serve":
            command.add_argument("--port", type=int, default=8080)
            command.add_argument("--threads", type=int, default=1)
    return parser


def _quantize(options: argparse.Namespace) -> None:
    try:
        from .build import BundleRequest, build_bundle
        from .parity import build_table
    except ModuleNotFoundError as error:
        raise InputUnusable(f"{error.name} is not installed: quantize requires fairlead-edge[quantize]") from None
    request = BundleRequest(
        model_uri=options.model,
        model_digest=options.digest,
        dataset_uri=options.dataset,
        dataset_digest=options.dataset_digest,
        out_uri=options.out_uri,
        name=options.name,
        preprocessing=Preprocessing(scale=options.scale, offset=options.offset),
        labels=tuple(options.labels.split(",")) if options.labels else (),
        calibration_split=options.calibration_split,
        parity_split=options.split,
        max_drop=options.max_drop,
    )
    manifest, parity = build_bundle(request)
    sys.stdout.write(build_table(parity))
    sys.stdout.write(f"published {options.out_uri} ({manifest.digest}, {manifest.size:,} bytes)\n")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        result = {"uri": options.out_uri, "digest": manifest.digest, "parity": parity.to_json()}
        options.out.write_text(json.dumps(result))


def _verify(options: argparse.Namespace) -> None:
    bundle = open_bundle(options.bundle, options.digest)
    model = json.loads(asyncio.run(describe(bundle, _read_limits())))
    proof = "digest" if options.digest else "consistency"
    result = {"bundle": options.bundle, "digest": bundle.digest, "verified": proof, "model": model}
    sys.stdout.write(json.dumps(result) + "\n")
    if not options.digest:
        sys.stderr.write(f"fairlead-edge: {_describe_consistency(bundle)}\n")


def _serve(options: argparse.Namespace) -> None:
    bundle = open_bundle(options.bundle, options.digest)
    if not options.digest:
        logging.getLogger(__name__).warning("%s", _describe_consistency(bundle))
    address = os.environ.get("FAIRLEAD_BIND_ADDRESS") or "0.0.0.0"
    asyncio.run(serve(bundle, options.threads, address, options.port, _read_limits()))


def _read_limits() -> Limits:
    try:
        return Limits.from_environment(defaults=DEFAULTS)
    except InvalidSetting as error:
        raise InputUnusable(str(error)) from None


def _describe_consistency(bundle: Bundle) -> str:
    return (
        "the bundle is consistent with its own manifest, which anyone can write; only --digest proves that it is the"
        f" bundle that was published (this one has {bundle.digest})"
    )


if __name__ == "__main__":
    sys.exit(main())
