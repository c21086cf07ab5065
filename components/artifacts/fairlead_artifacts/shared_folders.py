"""Folders of a volume that pods of several users mount: its group's members (`fsGroup`) may remove what others left."""

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

_FOLDER_MODE, _FILE_MODE = 0o775, 0o444
"""Files are read in place, never written."""


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, whatever the umask."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir()
        # with the set-group-ID bit that it has from the one above it, so that what is made in it has the same group
        folder.chmod(stat.S_IMODE(folder.stat().st_mode) | _FOLDER_MODE)


def protect(folder: Path) -> None:
    """Let nobody write to the files of a folder."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(_FOLDER_MODE if path.is_dir() else _FILE_MODE)


def count_bytes(folder: Path) -> int:
    """Return the size of the files in a folder, which others may change and remove."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += Path(root, name).lstat().st_size
    return total


def remove(folder: Path) -> None:
    """Remove a folder as far as its owner allows."""
    shutil.rmtree(folder, ignore_errors=True)
