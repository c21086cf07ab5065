"""Runs DVC's own command, which is a program of this environment."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from .errors import Unusable

_SECONDS = 3600


class DvcFailed(Exception):
    """DVC exited with an error; the message has its last lines."""


def run_dvc(folder: Path, *words: str, variables: Mapping[str, str] | None = None) -> str:
    """Run `dvc` in a folder and return what it printed; raise DvcFailed."""
    # the interpreter's -P: the folder is another's, and modules in it are not imported
    command = [sys.executable, "-P", "-m", "dvc", *words]
    environment = os.environ | {"DVC_NO_ANALYTICS": "1", "NO_COLOR": "1"} | dict(variables or {})
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace", timeout=_SECONDS,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise DvcFailed(f"dvc {words[0]} has not ended after {_SECONDS} s") from None
    except OSError as error:
        raise Unusable(f"{folder}: {error.strerror}") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise DvcFailed(f"dvc {words[0]} exited with {done.returncode}: {' '.join(lines)[-500:]}")
    return done.stdout
