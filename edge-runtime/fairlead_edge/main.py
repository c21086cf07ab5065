"""The command `fairlead-edge`: build, compare, verify and serve bundles. Exits with 2 if rejected, 1 on errors."""

import argparse
import asyncio
import json
import logging
import math
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead_artifacts import ArtifactError, PublicKey
from fairlead_contracts.edge_bundle import Preprocessing
from fairlead_serving.limits import InvalidSetting, Limits

from .budgets import read_budget
from .bundle import Bundle, open_bundle
from .device.commands import add_commands, add_serving, add_state, run_install, run_roll_back, run_serve, run_status
from .errors import BundleRejected, InputUnusable, InvalidBundle
from .options import add_pack, add_workshop
from .server import DEFAULTS, describe, serve
from .targets import RETIRED, TARGETS, UnknownTarget, find_target
from .texts import clean

if TYPE_CHECKING:
    from .build import BundleRequest

_REJECTED = 2


def main(arguments: list[str] | None = None) -> int:
    """Run one command."""
    options = _build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        _COMMANDS[options.command](options)
    except (InvalidBundle, BundleRejected) as error:
        sys.stderr.write(f"fairlead-edge: rejected: {clean(str(error))}\n")
        return _REJECTED
    except (ArtifactError, InputUnusable, UnknownTarget, OSError) as error:
        sys.stderr.write(f"fairlead-edge: {clean(str(error))}\n")
        return 1
    except ModuleNotFoundError as error:
        sys.stderr.write(f"fairlead-edge: {error.name} is not installed: building needs fairlead-edge[build]\n")
        return 1
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fairlead-edge", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("targets", help="list the targets")
    add_workshop(commands)
    for name, text in (
        ("verify", "compare a bundle with its manifest, and with --digest"),
        ("serve", "serve a bundle over HTTP"),
    ):
        command = commands.add_parser(name, help=text)
        places = command.add_mutually_exclusive_group(required=True)
        places.add_argument("--bundle", metavar="URI|FOLDER")
        command.add_argument(
            "--digest",
            metavar="sha256:…",
            help="reject any other bundle; without it, only the bundle's own manifest is checked",
        )
        if name == "serve":
            add_state(places)
            command.add_argument("--port", type=int, default=8080)
            command.add_argument("--threads", type=int, default=1)
            add_serving(command)
    add_pack(commands)
    add_commands(commands)
    return parser


def _list_targets(_options: argparse.Namespace) -> None:
    for name in TARGETS:
        try:
            about = find_target(name).about
        except UnknownTarget as error:
            about = str(error)
        sys.stdout.write(f"{name:<20}{about}\n")
    for name, successor in RETIRED.items():
        sys.stdout.write(f"{name:<20}retired: use {successor}\n")


def _build(options: argparse.Namespace) -> None:
    from .build import build_bundle
    from .parity import build_table

    request = _read_request(
        options, out_uri=options.out_uri, name=options.name, labels=options.labels, target=options.target,
        version=options.version, architectures=tuple(options.architecture),
    )  # fmt: skip
    manifest, parity = build_bundle(request)
    sys.stdout.write(build_table(parity, request.budget))
    sys.stdout.write(f"published {options.out_uri} ({manifest.digest}, {manifest.size:,} bytes)\n")
    if options.out:
        _write(options.out, {"uri": options.out_uri, "digest": manifest.digest, "parity": parity.to_json()})


def _compare(options: argparse.Namespace) -> None:
    from .build import compare_targets
    from .parity import build_comparison, find_problems

    request = _read_request(options)
    found = list(compare_targets(request, options.target or TARGETS, options.keep))
    sys.stdout.write(build_comparison(found, request.budget))
    if options.out:
        figures = {
            name: {"problem": got}
            if isinstance(got, str)
            else got.to_json() | {"over_budget": find_problems(got, request.budget)}
            for name, got in found
        }
        _write(options.out, figures)


def _profile(options: argparse.Namespace) -> None:
    from .build import profile_targets
    from .plots import build_plot
    from .profiles import Profile, build_profile_table

    found = list(profile_targets(_read_request(options), options.target or TARGETS, options.threads))
    sys.stdout.write(build_profile_table(found))
    profiles = [each for *_, each in found if isinstance(each, Profile)]
    if options.out:
        _write(options.out, {"profiles": [each.to_json() for each in profiles]})
    if options.plot and profiles:
        options.plot.parent.mkdir(parents=True, exist_ok=True)
        options.plot.write_text(build_plot(profiles))


def _write(file: Path, result: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(_drop_infinite(result), allow_nan=False))


def _drop_infinite(value: Any) -> Any:
    """Replace numbers that are not finite, which JSON does not have, by null."""
    if isinstance(value, dict):
        return {key: _drop_infinite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_drop_infinite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _read_request(options: argparse.Namespace, **more: Any) -> "BundleRequest":
    from .build import BundleRequest

    return BundleRequest(
        model_uri=options.model,
        model_digest=options.digest,
        dataset_uri=options.dataset,
        dataset_digest=options.dataset_digest,
        preprocessing=Preprocessing(scale=options.scale, offset=options.offset),
        calibration_split=options.calibration_split,
        parity_split=options.split,
        budget=read_budget(options),
        slices=tuple(options.slices),
        **more,
    )


def _pack(options: argparse.Namespace) -> None:
    from .package import copy_bundle, write_package

    keys = [PublicKey.read(path) for path in options.public_key]
    with tempfile.TemporaryDirectory() as folder:
        bundle = copy_bundle(options.bundle, Path(folder, "bundle"), keys)
        base = copy_bundle(options.base, Path(folder, "base")) if options.base else None
        write_package(bundle, options.out, base)
    sys.stdout.write(f"wrote {options.out} ({options.out.stat().st_size:,} bytes)\n")


def _verify(options: argparse.Namespace) -> None:
    bundle = open_bundle(options.bundle, options.digest)
    model = json.loads(asyncio.run(describe(bundle, _read_limits())))
    proof = "digest" if options.digest else "consistency"
    result = {"bundle": options.bundle, "digest": bundle.digest, "verified": proof, "model": model}
    sys.stdout.write(json.dumps(result) + "\n")
    if not options.digest:
        sys.stderr.write(f"fairlead-edge: {_describe_consistency(bundle)}\n")


def _serve(options: argparse.Namespace) -> None:
    address = os.environ.get("FAIRLEAD_BIND_ADDRESS") or "0.0.0.0"
    if options.state:
        run_serve(options, address, _read_limits())
        return
    bundle = open_bundle(options.bundle, options.digest)
    if not options.digest:
        logging.getLogger(__name__).warning("%s", _describe_consistency(bundle))
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


_COMMANDS = {
    "targets": _list_targets,
    "build": _build,
    "compare": _compare,
    "profile": _profile,
    "pack": _pack,
    "verify": _verify,
    "serve": _serve,
    "install": run_install,
    "roll-back": run_roll_back,
    "status": run_status,
}

if __name__ == "__main__":
    sys.exit(main())
