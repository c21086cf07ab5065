"""One split of a dataset: examples and labels for calibration and parity."""

import lzma
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fairlead_contracts.edge_bundle import Preprocessing
from fairlead_contracts.errors import shorten
from numpy.typing import NDArray

from .errors import InputUnusable

MAX_SLICES, MAX_SLICE_NAME = 1000, 64  # as parity.json allows, which this module need not load
_SLICE = "slice"
"""The array that names each example's slice, if the file has it."""
_EXAMPLES, _LABELS = "x", "y"

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Split:
    """Preprocessed examples, their labels, and the slices that they belong to."""

    examples: NDArray[np.float32]
    labels: NDArray[Any]
    slices: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    """The value of each example, by the name of the array that has it."""
    file: str = ""
    """The file's name, for messages."""


def load_split(folder: Path, name: str, preprocessing: Preprocessing, slices: Iterable[str] = ()) -> Split:
    """Load x and y from `<name>.npz`, and the arrays that name slices; raise InputUnusable.

    The array `slice` names slices if the file has it, and none is asked for.
    """
    file = folder / f"{name}.npz"
    if not file.is_file():
        found = ", ".join(sorted(path.name for path in folder.glob("*.npz"))) or "no .npz file"
        raise InputUnusable(f"dataset: got {found}, expected {file.name}")
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
        raise InputUnusable(f"{file.name}: is not an archive of plain arrays: {error}") from None
    shapes = {key: list(array.shape) for key, array in arrays.items()}
    if not {_EXAMPLES, _LABELS} <= arrays.keys() or not all(shapes[key] for key in (_EXAMPLES, _LABELS)):
        raise InputUnusable(f"{file.name}: got {shapes}, expected x and y with a row for each example")
    examples = arrays[_EXAMPLES]
    if not 0 < len(examples) == len(arrays[_LABELS]):
        raise InputUnusable(f"{file.name}: got {shapes}, expected x and y with equal numbers of rows, at least one")
    if examples.dtype.kind not in "biuf":
        raise InputUnusable(f"{file.name}: x: got values of type {examples.dtype}, expected numbers")
    scaled = (examples * preprocessing.scale + preprocessing.offset).astype(np.float32)
    return Split(scaled, arrays[_LABELS], _find_slices(arrays, slices, file.name), file.name)


def _find_slices(arrays: Arrays, names: Iterable[str], file: str) -> dict[str, NDArray[np.str_]]:
    names = list(dict.fromkeys(names)) or ([_SLICE] if _SLICE in arrays else [])
    found = {name: _read_slices(arrays, name, file) for name in names}
    count = sum(len(np.unique(values)) for values in found.values())
    if count > MAX_SLICES:
        raise InputUnusable(f"{file}: got {count} slices by {', '.join(names)}, expected at most {MAX_SLICES}")
    return found


def _read_slices(arrays: Arrays, name: str, file: str) -> NDArray[np.str_]:
    if name not in arrays or name in (_EXAMPLES, _LABELS):
        others = ", ".join(sorted(arrays.keys() - {_EXAMPLES, _LABELS})) or "no array but x and y"
        raise InputUnusable(f"{file}: got {others}, expected {shorten(name)}, which names slices")
    values, rows = arrays[name], len(arrays[_EXAMPLES])
    if len(name) > MAX_SLICE_NAME:
        raise InputUnusable(f"{file}: {shorten(name)}: expected a name of at most {MAX_SLICE_NAME} characters")
    if values.shape != (rows,) or values.dtype.kind not in "biuU":
        got = f"{values.dtype} {list(values.shape)}"
        raise InputUnusable(f"{file}: {shorten(name)}: got {got}, expected {rows} names or integers")
    texts = values.astype(np.str_)
    longest = int(np.char.str_len(texts).max())
    if longest > MAX_SLICE_NAME:
        raise InputUnusable(f"{file}: {name}: got {longest} characters, expected at most {MAX_SLICE_NAME}")
    return texts
