"""The options of the commands that build, and the types of their values."""

import argparse
import math
from pathlib import Path
from typing import Any

from fairlead_contracts.edge_bundle import MAX_LABEL, MAX_LABELS, MAX_NAME, MAX_VERSION

from .budgets import add_budget
from .targets import DEFAULT, UnknownTarget, check_name

MAX_THREADS = 1024


def add_workshop(commands: Any) -> None:
    """Add the parsers of `build`, `compare` and `profile`."""
    text = "build a bundle for a target from an onnx-model (requires the extra `build`)"
    _add_build(_add_command(commands, "build", text))
    text = "build every target and print a table; nothing is published (requires the extra `build`)"
    command = _add_command(commands, "compare", text)
    command.add_argument("--target", action="append", type=read_target, help="all, unless some are given")
    command.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the files of each target below it")
    text = "write the figures, or the problem, of each to this file, as JSON; null is not a finite number"
    command.add_argument("--out", type=Path, help=text)
    text = "build every target and measure latency, memory and start on this machine; nothing is published"
    command = _add_command(commands, "profile", text)
    command.add_argument("--target", action="append", type=read_target, help="all, unless some are given")
    command.add_argument("--threads", type=read_threads, default=(1,), help="such as 1,2; default: 1")
    command.add_argument("--plot", type=Path, help="write accuracy against latency and size to this file, as SVG")
    command.add_argument("--out", type=Path, help="write the figures to this file, as JSON")


def add_pack(commands: Any) -> None:
    """Add the parser of `pack`."""
    command = commands.add_parser("pack", help="write a bundle into one file, or what a device with another one lacks")
    for option, text in (("--bundle", "the bundle"), ("--base", "another bundle, for a patch")):
        command.add_argument(option, metavar="URI|FOLDER", help=text, required=option == "--bundle")
    text = "include the signature of this key"
    command.add_argument("--public-key", action="append", default=[], type=Path, metavar="FILE", help=text)
    command.add_argument("--out", required=True, type=Path, metavar="FILE", help="such as digits-8.fairlead")


def _add_build(command: argparse.ArgumentParser) -> None:
    command.add_argument("--target", default=DEFAULT, type=read_target, help=f"default: {DEFAULT}")
    command.add_argument("--out-uri", required=True, metavar="URI")
    command.add_argument("--name", type=read_name, default="model", help="the model's name in requests")
    command.add_argument("--labels", type=read_labels, default=(), help="class names, such as zero,one,two")
    command.add_argument("--version", type=read_version, default=0, help="of the release; devices go only up")
    command.add_argument(
        "--architecture", action="append", default=[], metavar="NAME",
        help="a processor that it may run on, such as x86_64 or aarch64; all, unless some are given",
    )  # fmt: skip
    command.add_argument("--out", type=Path, help="write {uri, digest, parity} to this file, as JSON")


def _add_command(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    """Add a command that names a model, a dataset and a budget."""
    command: argparse.ArgumentParser = commands.add_parser(name, help=text)
    _add_sources(command)
    return command


def _add_sources(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", required=True, metavar="URI")
    command.add_argument("--digest", metavar="sha256:…", help="the model's digest; reject any other content")
    command.add_argument("--dataset", required=True, metavar="URI")
    command.add_argument("--dataset-digest", metavar="sha256:…")
    command.add_argument("--scale", type=read_finite, default=1.0, help="the model's input is value * scale + offset")
    command.add_argument("--offset", type=read_finite, default=0.0)
    command.add_argument("--calibration-split", default="train")
    command.add_argument("--split", default="test", help="held-out examples for the parity table")
    command.add_argument(
        "--slices", action="append", default=[], metavar="ARRAY",
        help="an array of the held-out file that names each example's slice; default: slice, if there is one",
    )  # fmt: skip
    add_budget(command)


def read_finite(text: str) -> float:
    """Return a finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a finite number")
    return value


def read_target(text: str) -> str:
    """Return the name of a target."""
    try:
        check_name(text)
    except UnknownTarget as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def read_name(text: str) -> str:
    """Return a model's name."""
    if not 0 < len(text) <= MAX_NAME:
        raise argparse.ArgumentTypeError(f"got {len(text)} characters, expected 1 to {MAX_NAME}")
    return text


def read_version(text: str) -> int:
    """Return the number of a release."""
    if not text.isdecimal() or int(text) > MAX_VERSION:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected an integer of 0 to {MAX_VERSION}")
    return int(text)


def read_labels(text: str) -> tuple[str, ...]:
    """Return class names."""
    labels = tuple(text.split(",")) if text else ()
    if len(labels) > MAX_LABELS or any(len(label) > MAX_LABEL for label in labels):
        raise argparse.ArgumentTypeError(f"expected at most {MAX_LABELS} labels of at most {MAX_LABEL} characters")
    return labels


def read_threads(text: str) -> tuple[int, ...]:
    """Return numbers of threads."""
    counts = tuple(int(part) if part.isdecimal() and len(part) < 5 else 0 for part in text.split(","))
    if not all(0 < count <= MAX_THREADS for count in counts):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected numbers from 1 to {MAX_THREADS}, such as 1,2")
    return counts
