"""Keeps logs short: those of the cluster's processes and of the containers, all of which append to their file."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

LIMIT = 10 << 20
"""Bytes after which a log is moved to `<name>.1`, as by a kubelet."""
_EVERY_SECONDS = 30.0


async def keep_short(processes: Path, pods: Path) -> None:
    """Rotate the logs until cancelled."""
    while True:
        await asyncio.sleep(_EVERY_SECONDS)
        await asyncio.to_thread(_rotate_all, processes, pods)


def _rotate_all(processes: Path, pods: Path) -> None:
    rotate([*processes.glob("*.log"), *pods.glob("*/containers/*/runs/*/log")])


def rotate(files: Iterable[Path], limit: int = LIMIT) -> None:
    """Copy each file that is longer than `limit` to `<name>.1` and empty it.

    Its writers keep it open, so that it cannot be renamed; they append, so that they continue at its new end. What
    they write between the two steps is lost.
    """
    for file in files:
        with contextlib.suppress(OSError):
            if file.stat().st_size > limit:
                fresh = file.with_name(f".{file.name}.new")
                shutil.copyfile(file, fresh)
                fresh.replace(file.with_name(f"{file.name}.1"))
                os.truncate(file, 0)
