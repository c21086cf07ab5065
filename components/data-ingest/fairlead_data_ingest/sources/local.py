"""A file or folder on this machine, such as a mounted volume."""

from pathlib import Path

from fairlead_artifacts import JsonValue
from fairlead_datasets.survey import list_files

from ..source import Source
from .fetched import Fetched, check_sha256, check_size, hash_files, pick_files


def fetch(source: Source, base: Path, work: Path) -> Fetched:
    """Find the files; they are read where they are."""
    del work
    path = str(source.path)
    found = list_files(base / path)
    files = pick_files(found.sizes, source.files)
    size = sum(found.sizes[name] for name in files)
    check_size(path, size, source.size_limit)
    digest = hash_files(found.root, files)
    check_sha256(path, digest, source.sha256)
    name: dict[str, JsonValue] = {"kind": "path", "path": Path(path).name}
    origin = name | {"files": len(files), "bytes": size, "sha256": digest}
    return Fetched(found.root, files, origin)
