"""One split of a dataset: examples and labels for calibration and parity."""

import lzma
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fairlead_contracts.edge_bundle import Preprocessing
from numpy.typing import NDArray

from .errors import InputUnusable


@dataclass(frozen=True)
class Split:
    """Preprocessed examples and their labels."""

    examples: NDArray[np.float32]
    labels: NDArray[Any]


def load_split(folder: Path, name: str, preprocessing: Preprocessing) -> Split:
    """Load x and y from `<name>.npz`; raise InputUnusable."""
    file = folder / f"{name}.npz"
    if not file.is_file():
        found = ", ".join(sorted(path.name for path in folder.glob("*.npz"))) or "no .npz file"
        raise InputUnusable(f"dataset: got {found}, expected {file.name}")
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
        raise InputUnusable(f"{file.name}: is not an archive of plain arrays: {error}") from None
    if not {"x", "y"} <= arrays.keys() or not 0 < len(arrays["x"]) == len(arrays["y"]):
        shapes = {key: list(array.shape) for key, array in arrays.items()}
        raise InputUnusable(f"{file.name}: got {shapes}, expected x and y with equal numbers of rows, at least one")
    return Split((arrays["x"] * preprocessing.scale + preprocessing.offset).astype(np.float32), arrays["y"])
