"""The parity budget: options of the command, over a file, over the defaults."""

import argparse
import math
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from fairlead_contracts.errors import ContractError, shorten
from fairlead_contracts.parity_budget import Budget, check_limit

from .errors import InputUnusable

_MAX_BYTES = 1 << 16
_HELP = {
    "min_examples": "minimum number of distinct held-out examples",
    "max_drop": "maximum drop in accuracy, as a fraction",
    "max_missed_drop": "maximum drop that could have been missed with the examples at hand (95 %% confidence)",
    "min_accuracy": "minimum accuracy of the target; it must be better than chance in any case",
    "min_agreement": "minimum fraction of examples for which source and target predict the same class",
    "max_difference": "maximum difference of an output value",
    "max_mean_difference": "maximum mean difference of output values",
    "max_relative_difference": "maximum mean difference of a column, in standard deviations of the source's",
    "max_class_drop": "maximum drop in accuracy of a class",
    "min_class_agreement": "minimum agreement on a class",
    "max_slice_drop": "maximum drop in accuracy of a slice",
    "min_slice_agreement": "minimum agreement on a slice",
}


def add_budget(command: argparse.ArgumentParser) -> None:
    """Add the options of a budget to a command."""
    group = command.add_argument_group("parity budget", "a target over one of these limits is not published")
    group.add_argument("--budget", type=Path, metavar="FILE", help="limits in YAML, a line `max_drop: 0.02` for each")
    for each in fields(Budget):
        default = "no limit" if each.default is None else f"default: {each.default:g}"
        group.add_argument(
            f"--{each.name.replace('_', '-')}",
            type=_build_reader(each.name),
            metavar="N" if each.name == "min_examples" else "X",
            help=f"{_HELP[each.name]} ({default})",
        )


def read_budget(options: argparse.Namespace) -> Budget:
    """Return the budget of a command's options; raise InputUnusable if its file cannot be used."""
    limits = _read_file(options.budget) if options.budget else {}
    given = {each.name: getattr(options, each.name) for each in fields(Budget)}
    try:
        Budget.parse(limits)
    except ContractError as error:
        raise InputUnusable(f"{options.budget.name}: {error}") from None
    return Budget.parse(limits | {name: value for name, value in given.items() if value is not None})


def _build_reader(name: str) -> Callable[[str], Any]:
    """Return the parser of an option's value."""

    def read(text: str) -> Any:
        try:
            value = int(text) if name == "min_examples" else float(text)
        except ValueError:
            value = math.nan
        if name != "min_examples" and not math.isfinite(value):
            raise argparse.ArgumentTypeError(f"got {shorten(text)}, expected a finite number")
        try:
            check_limit(name, value)
        except ContractError as error:
            raise argparse.ArgumentTypeError(f"got {shorten(text)}, expected {error.expected}") from None
        return value

    return read


def _read_file(file: Path) -> dict[str, Any]:
    """Read a file of YAML's simplest form: a name, a colon and a number on a line; `#` starts a comment.

    A parser of all of YAML would be one more package, for files that need no more than this.
    """
    with file.open("rb") as opened:
        content = opened.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise InputUnusable(f"{file.name}: got more than {_MAX_BYTES} bytes, expected a line for each limit")
    limits: dict[str, Any] = {}
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        text = line.split("#", 1)[0].strip()
        if not text or text == "---":
            continue
        name, colon, value = (part.strip() for part in text.partition(":"))
        limit = _parse_value(value)
        if not colon or limit is _NO_VALUE or line[0].isspace():
            raise InputUnusable(f"{file.name}: line {number}: got {shorten(line)}, expected such as `max_drop: 0.02`")
        if name in limits:
            raise InputUnusable(f"{file.name}: line {number}: got {shorten(name)} twice, expected it once")
        limits[name] = limit
    return limits


_NO_VALUE = object()


def _parse_value(text: str) -> Any:
    """Return a number, or None for YAML's null; _NO_VALUE for anything else."""
    if text in ("null", "~"):
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return _NO_VALUE
