"""Checks the image: whether the Python that runs the user's script has the framework that the launcher connects."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .backends import BACKENDS

_PYTHON = re.compile(r"python[0-9.]*")
_FIND = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None and 64)"
_ABSENT = 64
_SECONDS = 30.0
GUIDE = "docs/guides/bring-your-own.md"


def find_problem(name: str, command: Sequence[str]) -> str | None:
    """Return what the image lacks for the backend of this name, and the line of its Dockerfile that adds it, or None.

    Only a command that starts Python is checked; it may be another one than the agent's.
    """
    backend = BACKENDS[name]
    python = shutil.which(command[0]) if _PYTHON.fullmatch(Path(command[0]).name) else None
    if python is None or not _lacks(python, backend.module):
        return None
    return (
        f"the image has no module {backend.module!r} for {python}, which runs {' '.join(command)[:200]!r}; "
        f"add to its Dockerfile: RUN pip install {backend.requirement} (see {GUIDE})"
    )


def _lacks(python: str, module: str) -> bool:
    """Return whether a Python is without a module; False if that cannot be found out."""
    if os.path.realpath(python) == os.path.realpath(sys.executable) and Path(python).parent == Path(sys.prefix, "bin"):
        return importlib.util.find_spec(module) is None
    try:
        done = subprocess.run([python, "-c", _FIND, module], capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == _ABSENT
