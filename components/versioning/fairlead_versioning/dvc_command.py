"""Runs DVC's own command, which is a program of this environment."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from .errors import Unusable

_SECONDS = 3600
_MAX_TEXT = 1000


class DvcFailed(Exception):
    """DVC exited with an error; the message has its reasons, and `errors` are the lines of them."""

    def __init__(self, message: str, errors: tuple[str, ...] = ()) -> None:
        super().__init__(f"{message}: {' '.join(errors)}"[:_MAX_TEXT] if errors else message)
        self.errors = errors


def run_dvc(folder: Path, *words: str, variables: Mapping[str, str] | None = None) -> str:
    """Run `dvc` in a folder and return its warnings; raise DvcFailed."""
    # the interpreter's -P: the folder is another's, and modules in it are not imported
    command = [sys.executable, "-P", "-m", "dvc", *words]
    environment = os.environ | {"DVC_NO_ANALYTICS": "1", "NO_COLOR": "1"} | dict(variables or {})
    try:
        # a process group of its own, which ends with all that DVC has started
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise Unusable(f"{folder}: {error.strerror}") from None
    try:
        _, text = process.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        raise DvcFailed(f"dvc {words[0]} has not ended after {_SECONDS} s") from None
    finally:
        _end(process)
    if process.returncode:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR:")]
        raise DvcFailed(f"dvc {words[0]} exited with {process.returncode}", tuple(errors or lines[-10:]))
    return text.strip()[:_MAX_TEXT]


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
