"""The options of the commands that build, and the types of their values."""

import argparse
import math

from fairlead_contracts.edge_bundle import MAX_LABEL, MAX_LABELS, MAX_NAME, MAX_VERSION

from .budgets import add_budget
from .targets import UnknownTarget, check_name

MAX_THREADS = 1024


def add_sources(command: argparse.ArgumentParser) -> None:
    """Add what names a model, a dataset and a budget."""
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
