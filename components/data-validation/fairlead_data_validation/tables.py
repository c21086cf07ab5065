"""The table for expectations: one row per example, built from the files that training reads."""

import hashlib
import zipfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped, unused-ignore]
from numpy.typing import NDArray

from .errors import ValidationImpossible
from .files import read_images, read_tables

SPLIT, _MATRIX = "split", "x"
_KINDS = {".npz": "arrays", ".parquet": "parquet", ".pq": "parquet", ".csv": "csv"}
_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff")


@dataclass(frozen=True)
class Facts:
    """What a dataset's manifest says about its files."""

    classes: frozenset[str] = frozenset()
    """The names of the classes of images."""
    features: tuple[str, ...] = ()
    """The names of the columns of the matrix `x`, as data-ingest writes them."""

    @classmethod
    def read(cls, parameters: Mapping[str, Any]) -> "Facts":
        """Return what a manifest's parameters say; what is not as expected counts as absent."""
        classes, features = parameters.get("classes"), parameters.get("features")
        names = tuple(name for name in features if isinstance(name, str)) if isinstance(features, list) else ()
        whole = len(set(names)) == len(names) == len(features or ())
        return cls(frozenset(classes) if isinstance(classes, dict) else frozenset(), names if whole else ())


def build_table(folder: Path, facts: Facts = Facts(), columns: Collection[str] | None = None) -> pd.DataFrame:
    """Build the table of a dataset of .npz, Parquet or CSV files, or of images by class.

    Its column `split` is the name of the file, or of the folder of files by date or of images. With `columns`, other
    columns of Parquet and CSV files are not read.

    Each array of an .npz file has a row per example. A one-dimensional array is a column. An array of more dimensions
    becomes columns with its name and the suffixes _min, _max, _mean, _nonfinite (the number of NaN or infinite values),
    _shape (`1x8x8`), _dtype and _sha256 (equal for equal examples); the matrix `x` of a table becomes its columns. An
    image has path, class, format, mode, width, height, bytes, min, max, mean and sha256.
    """
    found: dict[str, list[Path]] = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        suffix = file.suffix.lower()
        if kind := _KINDS.get(suffix, "images" if suffix in _IMAGES else ""):
            found.setdefault(kind, []).append(file)
    if files := found.get("arrays"):  # others are beside them, such as a page with pictures
        return pd.concat([_build_split(file, folder, facts.features) for file in files], ignore_index=True)
    if len(found) != 1:
        names = ", ".join(sorted(path.name for path in folder.rglob("*") if path.is_file())[:10])
        expected = ".npz files with the arrays, Parquet or CSV files, or images, one of these"
        raise ValidationImpossible(f"dataset: got {names}, expected {expected}")
    ((kind, files),) = found.items()
    if kind == "images":
        return read_images(files, folder, facts.classes)
    parts = read_tables(files, folder, kind, columns)
    if not sum(map(len, parts)):
        raise ValidationImpossible(f"dataset: {files[0].name} has no rows, expected at least one")
    return pd.concat(
        [_name_split(part, file, folder) for part, file in zip(parts, files, strict=True)], ignore_index=True
    )


def count_distinct(column: pd.Series) -> int | None:
    """Return the number of values that differ; None for values without a hash, such as lists."""
    try:
        return int(column.nunique())
    except TypeError:
        return None


def _name_split(part: pd.DataFrame, file: Path, folder: Path) -> pd.DataFrame:
    """Add the column with the name of the split, unless the data have such a column."""
    if SPLIT not in part.columns:
        names = file.relative_to(folder).with_suffix("").parts
        part.insert(
            0, SPLIT, "/".join(name for name in names if not name.startswith("date=") and name != "data") or "data"
        )
    return part


def _build_split(file: Path, folder: Path, features: Sequence[str]) -> pd.DataFrame:
    name = file.relative_to(folder).with_suffix("").as_posix()
    columns: dict[str, Any] = {}
    rows: dict[str, int] = {}
    for key, array in _read_arrays(file).items():
        if array.ndim == 0:
            raise ValidationImpossible(f"{file.name}: {key} is a single value, expected a row per example")
        rows[key] = len(array)
        if key == _MATRIX and array.ndim == 2 and array.shape[1] == len(features):
            columns |= dict(zip(features, array.T, strict=True))
        else:
            columns |= {key: array} if array.ndim == 1 else _describe(key, array)
    if len(set(rows.values())) != 1:
        counts = ", ".join(f"{key} has {count} rows" for key, count in rows.items()) or "no array"
        raise ValidationImpossible(f"{file.name}: {counts}, expected equal numbers of rows")
    return pd.DataFrame({SPLIT: name, **columns})


def _read_arrays(file: Path) -> dict[str, NDArray[Any]]:
    try:
        # A pickled array could run code, so pickles are rejected.
        with np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in sorted(archive.files)}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValidationImpossible(f"{file.name}: is not an archive of plain arrays: {error}") from None


def _describe(key: str, array: NDArray[Any]) -> dict[str, Any]:
    """Return the columns of an array of several dimensions."""
    count = len(array)
    shape, dtype = "x".join(map(str, array.shape[1:])), str(array.dtype)
    columns: dict[str, Any] = {f"{key}_shape": [shape] * count, f"{key}_dtype": [dtype] * count}
    columns[f"{key}_sha256"] = [hashlib.sha256(np.ascontiguousarray(row).tobytes()).hexdigest() for row in array]
    if array.dtype.kind in "biuf" and array[:1].size:
        flat = array.reshape(count, -1).astype(np.float64)
        finite = np.isfinite(flat)
        columns[f"{key}_nonfinite"] = (~finite).sum(axis=1)
        # Use finite values only, so that a NaN does not hide other errors; without finite values, the result is NaN.
        some = finite.any(axis=1)
        columns[f"{key}_min"] = np.where(some, np.where(finite, flat, np.inf).min(axis=1), np.nan)
        columns[f"{key}_max"] = np.where(some, np.where(finite, flat, -np.inf).max(axis=1), np.nan)
        total = np.where(finite, flat, 0).sum(axis=1)
        columns[f"{key}_mean"] = np.where(some, total / np.maximum(finite.sum(axis=1), 1), np.nan)
    return columns
