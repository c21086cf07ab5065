"""Puts what an export has made into a repository: all of it or nothing, and never in place of anything."""

import contextlib
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from .dvc_files import read_bounded
from .errors import Unusable

_MAX_IGNORE = 1 << 20


def put_in_place(made: Path, tracked: bytes, target: Path, work: Path) -> None:
    """Move a folder to a place where nothing is, write the `.dvc` file next to it, and let Git ignore the folder.

    Raises Unusable or OSError; then nothing has changed. `work` is a folder on the same file system.
    """
    ignore = _prepare_ignore(target, work)
    with _signals_held(), contextlib.ExitStack() as undo:
        for folder in [each for each in reversed(target.parents) if not each.exists()]:
            folder.mkdir()
            undo.callback(folder.rmdir)
        made.rename(target)  # an error if a folder with files has come there
        undo.callback(target.rename, made)
        file = target.parent / f"{target.name}.dvc"
        with file.open("xb") as opened:
            undo.callback(file.unlink)
            opened.write(tracked)
        if ignore is not None:
            ignore.replace(target.parent / ".gitignore")
        undo.pop_all()


def _prepare_ignore(target: Path, work: Path) -> Path | None:
    """Write what the .gitignore is to be, or return None if it need not change."""
    if not any((folder / ".git").exists() for folder in target.absolute().parents):
        return None
    file, ready = target.parent / ".gitignore", work / "gitignore"
    if file.is_symlink():
        raise Unusable(f"{file}: is a link, expected a file")
    before = read_bounded(file, _MAX_IGNORE) if file.exists() else b""
    line = "/" + re.sub(r"([\\*?\[\]!# ])", r"\\\1", target.name)
    if line.encode() in before.splitlines():
        return None
    between = b"\n" if before and not before.endswith(b"\n") else b""
    ready.write_bytes(before + between + line.encode() + b"\n")
    if file.exists():
        shutil.copymode(file, ready)
    return ready


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Let SIGTERM and SIGINT arrive after the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
