"""Builders that need an environment of their own: the command `fairlead-edge-builders` builds with them."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from fairlead_contracts.edge_builders import CANNOT_BUILD, COMMAND
from numpy.typing import NDArray

from .base import CannotBuild

_SECONDS = 1800
_PASSED = ("PATH", "HOME", "TMPDIR", "LANG", "PYTHONPATH")
"""The variables that a builder gets: none of the store's credentials."""


def build_elsewhere(target: str) -> Callable[[Path, Path, NDArray[np.float32]], None]:
    """Return the `build` of a target that the command builds."""

    def build(source: Path, folder: Path, examples: NDArray[np.float32]) -> None:
        program = find_command()
        if program is None:
            raise CannotBuild(f"{COMMAND} is not installed: see docs/guides/edge.md")
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch, "examples.npy")
            np.save(file, examples, allow_pickle=False)
            arguments = [program, "build", target, str(source), str(file), str(folder)]
            try:
                done = subprocess.run(
                    arguments, env=build_environment(), capture_output=True, text=True, errors="replace",
                    timeout=_SECONDS, stdin=subprocess.DEVNULL,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                raise CannotBuild(f"{COMMAND} did not end within {_SECONDS} s") from None
        last = (done.stderr.strip().splitlines() or ["no message"])[-1][:600]
        if done.returncode == CANNOT_BUILD:
            raise CannotBuild(last)
        if done.returncode:
            raise CannotBuild(f"{COMMAND} ended with status {done.returncode}: {last}")

    return build


def find_command() -> str | None:
    """Return the path of the command, if it is installed."""
    return shutil.which(COMMAND)


def build_environment() -> dict[str, str]:
    """Return the variables for the command."""
    return {name: os.environ[name] for name in _PASSED if name in os.environ}
