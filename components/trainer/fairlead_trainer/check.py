"""`fairlead-agent --check`: whether a job could start in this image, without starting it."""

import argparse
import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fairlead_artifacts import ArtifactError, read_manifest

from .backends import BACKENDS
from .images import find_problem


@dataclass(frozen=True)
class Check:
    """One thing that a job needs, and whether it was found."""

    passed: bool
    text: str


def main(arguments: list[str]) -> int:
    """Print a line for each thing that a job needs; return 1 if one is missing."""
    parser = argparse.ArgumentParser(prog="fairlead-agent --check", description=__doc__)
    parser.add_argument("--backend", required=True, choices=BACKENDS)
    parser.add_argument("--dataset", metavar="URI")
    parser.add_argument("--digest", metavar="sha256:…")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        parser.error("command: got none, expected -- command [argument …]")
    checks = list(run_checks(options.backend, command, options.dataset, options.digest))
    for check in checks:
        print(f"{'✓' if check.passed else '✗'} {check.text}", flush=True)  # noqa: T201 - this is its output
    return 0 if all(check.passed for check in checks) else 1


def run_checks(backend: str, command: Sequence[str], dataset: str | None, digest: str | None) -> Iterator[Check]:
    """Check the agent, the user, the command, the framework and the dataset."""
    yield Check(
        True, f"agent      fairlead-trainer {_find_version('fairlead-trainer')}, Python {platform.python_version()}"
    )
    yield _check_user(os.getuid())
    yield _check_command(command)
    problem = find_problem(backend, command)
    yield Check(problem is None, f"framework  {problem or f'what {backend} needs is installed'}")
    if dataset:
        yield _check_dataset(dataset, digest)


def _check_user(uid: int) -> Check:
    expected = ", expected another user: add USER 1000 to the Dockerfile" if uid == 0 else ""
    return Check(uid != 0, f"user       {uid}{expected}")


def _check_command(command: Sequence[str]) -> Check:
    found = shutil.which(command[0])
    if found is None:
        return Check(False, f"command    {command[0]!r} is not on PATH")
    scripts = [word for word in command[1:2] if word.endswith(".py") and not Path(word).is_file()]
    if scripts:
        return Check(False, f"command    {scripts[0]!r} is not in {Path.cwd()}")
    return Check(True, f"command    {found}")


def _check_dataset(uri: str, digest: str | None) -> Check:
    try:
        manifest = read_manifest(uri, digest)
    except ArtifactError as error:
        return Check(False, f"dataset    {error}")
    if manifest.kind != "dataset":
        return Check(False, f"dataset    {uri}: is of kind {manifest.kind!r}, expected 'dataset'")
    return Check(True, f"dataset    {uri}, {manifest.size:,} bytes, {manifest.digest}")


def _find_version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "of a checkout"
