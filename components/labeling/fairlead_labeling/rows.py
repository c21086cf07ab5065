"""The rows of a dataset's splits: archives of arrays with a row for each example."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from fairlead_artifacts import Manifest
from fairlead_datasets.archives import read_arrays
from fairlead_datasets.errors import Unusable
from numpy.typing import NDArray

LABELS = "y"
Arrays = Mapping[str, NDArray[Any]]


def read_split(folder: Path, name: str) -> Arrays:
    """Read `<name>.npz`; raise Unusable unless it has arrays with equal numbers of rows."""
    file = folder / f"{name}.npz"
    if not file.is_file():
        found = ", ".join(sorted(path.name for path in folder.glob("*.npz"))) or "no .npz file"
        raise Unusable(f"dataset: got {found}, expected {file.name}")
    arrays = read_arrays(file)
    counts = {key: len(array) if array.ndim else None for key, array in arrays.items()}
    if len(set(counts.values())) != 1 or None in counts.values():
        raise Unusable(f"{file.name}: got rows {counts}, expected arrays with equal numbers of rows")
    if not set(arrays) - {LABELS}:
        raise Unusable(f"{file.name}: got {', '.join(arrays)}, expected an array of inputs")
    return arrays


def count_rows(arrays: Arrays) -> int:
    """Return the number of rows."""
    return len(next(iter(arrays.values())))


def identify(arrays: Arrays) -> list[str]:
    """Return the id of each row: the SHA-256 of its inputs, which is the same in every version of the dataset."""
    named = sorted((name, np.ascontiguousarray(array)) for name, array in arrays.items() if name != LABELS)
    head = "".join(f"{name}:{_kind(array)}:{list(array.shape[1:])};" for name, array in named).encode()
    ids = []
    for row in range(count_rows(arrays)):
        digest = hashlib.sha256(head)
        for _, array in named:
            digest.update(_encode(array[row]))
        ids.append(digest.hexdigest())
    return ids


def list_labels(manifest: Manifest, named: tuple[str, ...], at: str) -> tuple[str, ...]:
    """Return the labels in the order of their indexes: those of the dataset, or the named ones; raise Unusable."""
    found = manifest.parameters.get("labels")
    known = tuple(map(str, found)) if isinstance(found, list) else ()
    if known and named and known != named:
        raise Unusable(f"{at}: its labels are {', '.join(known[:20])}, got {', '.join(named[:20])}")
    if not (known or named):
        raise Unusable(f"{at}: its manifest names no labels; name them with --labels, in the order of their indexes")
    return known or named


def _kind(array: NDArray[Any]) -> str:
    # the width of an array of texts is that of its longest one, which is another in each version
    return "U" if array.dtype.kind == "U" else array.dtype.newbyteorder("<").str


def _encode(row: Any) -> bytes:
    array = np.asarray(row)
    if array.dtype.kind == "U":
        return b"".join(f"{len(text)}:{text}".encode("utf-8", "surrogatepass") for text in array.ravel().tolist())
    return array.astype(array.dtype.newbyteorder("<")).tobytes()
