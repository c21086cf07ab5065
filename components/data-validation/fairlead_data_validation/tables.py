"""The table for expectations: one row per example, built from the arrays that training reads."""

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped, unused-ignore]
from numpy.typing import NDArray

from .errors import ValidationImpossible

SPLIT = "split"


def build_table(folder: Path) -> pd.DataFrame:
    """Build the table of all .npz files in a dataset; each file is a split, each array has a row per example.

    A one-dimensional array is a column. An array of more dimensions becomes columns with its name and the suffixes
    _min, _max, _mean, _nonfinite (the number of NaN or infinite values), _shape (`1x8x8`), _dtype and _sha256 (equal
    for equal examples).
    """
    files = sorted(folder.rglob("*.npz"))
    if not files:
        found = ", ".join(sorted(path.name for path in folder.rglob("*") if path.is_file()))
        raise ValidationImpossible(f"dataset: got {found}, expected .npz files with the arrays")
    return pd.concat([_build_split(file, folder) for file in files], ignore_index=True)


def _build_split(file: Path, folder: Path) -> pd.DataFrame:
    name = file.relative_to(folder).with_suffix("").as_posix()
    columns: dict[str, Any] = {}
    rows: dict[str, int] = {}
    for key, array in _read_arrays(file).items():
        if array.ndim == 0:
            raise ValidationImpossible(f"{file.name}: {key} is a single value, expected a row per example")
        rows[key] = len(array)
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
