"""Looks at what is to be published: which files, of which format, and the facts that its manifest will hold."""

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from fairlead_artifacts import JsonValue
from fairlead_artifacts.manifest import MAX_BYTES as MAX_MANIFEST

from ..errors import Unusable
from .csv_table import describe_csv
from .images import describe_images, looks_like_images
from .parquet import describe_parquet

Format = Literal["folder", "csv", "parquet", "images"]
FORMATS: tuple[Format, ...] = get_args(Format)
LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", ".git", ".ipynb_checkpoints", "__pycache__"})
"""Files and folders that other programs leave; they are not published. Other hidden files are, such as Zarr's."""
MAX_FILES = 100_000
_ENTRY_BYTES = 110
"""Bytes of a file's entry in the manifest beside its path."""


@dataclass(frozen=True)
class Survey:
    """The files to publish: their paths below `root`, and what is known of them."""

    format: Format
    root: Path
    sizes: Mapping[str, int]
    """The size in bytes of each file, by its path."""
    left_out: int = 0
    """How many files and folders of other programs are not published."""
    facts: Mapping[str, JsonValue] = field(default_factory=dict)
    """Published as the manifest's parameters."""

    @property
    def size(self) -> int:
        """Return the bytes of all files."""
        return sum(self.sizes.values())


def survey(path: Path, expected: Format | None = None) -> Survey:
    """Return what is at a path; raises Unusable for what cannot be published, naming the file.

    Without `expected`, the format is that of the file's name, and a folder whose subfolders hold images is `images`.
    """
    found = list_files(path)
    chosen = expected or _guess(path, found)
    described, facts = _DESCRIBE[chosen](found)
    _check_manifest(found)
    return Survey(chosen, described.root, described.sizes, described.left_out, {"format": chosen, **facts})


def list_files(path: Path) -> Survey:
    """Return the files at a path, unread, as the format `folder`; raises Unusable for links, pipes and devices."""
    path = Path(os.path.realpath(path))
    if not path.exists():
        raise Unusable(f"{path}: no such file or folder")
    return _survey_folder(path) if path.is_dir() else _survey_file(path)


def _survey_file(path: Path) -> Survey:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise Unusable(f"{path}: is a pipe, a socket or a device, expected a file or a folder")
    return Survey("folder", path.parent, {path.name: status.st_size})


def _survey_folder(root: Path) -> Survey:
    sizes: dict[str, int] = {}
    left_out = [0]
    for name, size in _walk(root, "", left_out):
        sizes[name] = size
        if len(sizes) > MAX_FILES:
            raise Unusable(f"{root}: more than {MAX_FILES:,} files; {_PACK}")
    if not sizes:
        raise Unusable(f"{root}: contains no files, expected at least one")
    return Survey("folder", root, sizes, left_out[0])


def _walk(root: Path, prefix: str, left_out: list[int]) -> Iterator[tuple[str, int]]:
    """Yield the path and size of every file, in order; raises Unusable for links, pipes and devices."""
    for entry in sorted(os.scandir(root / prefix), key=lambda entry: entry.name):
        path = f"{prefix}{entry.name}"
        if entry.name in LITTER:
            left_out[0] += 1
        elif entry.is_symlink():
            raise Unusable(f"{root / path}: is a link, expected files and folders; copy what it points to")
        elif entry.is_dir():
            yield from _walk(root, f"{path}/", left_out)
        elif entry.is_file():
            yield path, entry.stat().st_size
        else:
            raise Unusable(f"{root / path}: is a pipe, a socket or a device, expected files and folders")


def _guess(path: Path, found: Survey) -> Format:
    if path.is_dir():
        return "images" if looks_like_images(found.sizes) else "folder"
    return {".csv": "csv", ".parquet": "parquet", ".pq": "parquet"}.get(path.suffix.lower(), "folder")  # type: ignore[return-value]


Described = tuple[Survey, Mapping[str, JsonValue]]


def _describe_folder(found: Survey) -> Described:
    return found, {}


def _describe_csv(found: Survey) -> Described:
    table = describe_csv(_only_file(found, "CSV"))
    return found, {"rows": table.rows, "columns": list(table.columns)}


def _describe_parquet(found: Survey) -> Described:
    table = describe_parquet(_only_file(found, "parquet"))
    return found, {"rows": table.rows, "columns": list(table.columns)}


def _describe_images(found: Survey) -> Described:
    return found, {"classes": dict(describe_images(found.root, found.sizes))}


_DESCRIBE: dict[Format, Callable[[Survey], Described]] = {
    "folder": _describe_folder,
    "csv": _describe_csv,
    "parquet": _describe_parquet,
    "images": _describe_images,
}


def _only_file(found: Survey, what: str) -> Path:
    if len(found.sizes) != 1:
        raise Unusable(f"{found.root}: got {len(found.sizes)} files, expected one {what} file; or --format folder")
    return found.root / next(iter(found.sizes))


def _check_manifest(found: Survey) -> None:
    """Raise Unusable if the manifest would be too long, before any file is read."""
    needed = sum(len(path.encode("utf-8", "replace")) + _ENTRY_BYTES for path in found.sizes)
    if needed > MAX_MANIFEST:
        count = len(found.sizes)
        raise Unusable(
            f"{found.root}: {count:,} files need a manifest of about {needed >> 20} MiB, "
            f"expected at most {MAX_MANIFEST >> 20} MiB; {_PACK}"
        )


_PACK = "pack them into fewer files, such as one tar or parquet file for each thousand"
