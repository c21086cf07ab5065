"""What a source has fetched."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import pyarrow as pa
from fairlead_artifacts import JsonValue, Parent, open_regular
from fairlead_datasets.errors import Unusable


@dataclass(frozen=True)
class Fetched:
    """Files below a folder, or a table; and where they come from."""

    root: Path
    files: tuple[str, ...]
    origin: Mapping[str, JsonValue]
    """Becomes `source` of the dataset's manifest: no secrets, nothing of this machine."""
    parents: tuple[Parent, ...] = ()
    table: pa.Table | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    """The types of columns, as the manifest of a dataset of CSV files has them."""


def pick_files(names: Iterable[str], pattern: str) -> tuple[str, ...]:
    """Return the names that match a pattern, in order; `*` matches the slash, too."""
    return tuple(sorted(name for name in names if fnmatchcase(name, pattern)))


def check_size(what: str, size: int, limit: int) -> None:
    """Raise Unusable if a source is too large."""
    if size > limit:
        raise Unusable(f"{what}: got {size:,} bytes, expected at most source.sizeLimit: {limit:,}")


def check_sha256(what: str, found: str, expected: str | None) -> None:
    """Raise Unusable if the content is not what the recipe expects."""
    if expected is not None and found != expected:
        raise Unusable(f"{what}: sha256 is {found}, expected {expected}")


def hash_files(root: Path, files: Iterable[str]) -> str:
    """Return the SHA-256 of one file, or of the names and hashes of several."""
    hashes = {name: _hash_file(root / name) for name in files}
    if len(hashes) == 1:
        return next(iter(hashes.values()))
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def _hash_file(file: Path) -> str:
    with open_regular(file) as opened:
        digest = hashlib.sha256()
        while chunk := opened.read(1 << 20):
            digest.update(chunk)
        return digest.hexdigest()
