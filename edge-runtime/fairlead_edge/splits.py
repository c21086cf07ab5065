"""One split of a dataset: examples and labels for calibration and parity."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from fairlead_contracts.edge_bundle import Preprocessing
from fairlead_contracts.errors import shorten
from numpy.typing import NDArray

from .archives import Archive
from .errors import InputUnusable
from .texts import shorten_name

MAX_SLICES, MAX_SLICE_NAME = 1000, 64  # as parity.json allows, which this module need not load
_SLICE = "slice"
"""The array that names each example's slice, if the file has it."""
_EXAMPLES, _LABELS = "x", "y"
_CASES = 16
"""How many examples a bundle's self-test has."""
_SHOWN = 20
"""How many names a message lists."""


@dataclass(frozen=True)
class Split:
    """Preprocessed examples, their labels, and the slices that they belong to."""

    examples: NDArray[np.float32]
    labels: NDArray[Any]
    slices: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    """The value of each example, by the name of the array that has it."""
    file: str = ""
    """The file's name, for messages."""
    cases: NDArray[Any] = field(default_factory=lambda: np.empty(0, np.float32))
    """Examples from all over the split as they are before the preprocessing."""

    @cached_property
    def digests(self) -> tuple[bytes, ...]:
        """A digest of each example: equal ones are the same example."""
        return tuple(hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in self.examples)


def check_held_out(held_out: Split, calibration: Split) -> None:
    """Raise InputUnusable if both splits have the same examples, in whatever order."""
    if sorted(held_out.digests) == sorted(calibration.digests):
        both = held_out.file if held_out.file == calibration.file else f"{calibration.file} and {held_out.file}"
        raise InputUnusable(
            f"{both}: got the same {len(held_out.examples)} examples for calibration and for parity, expected held-out "
            "ones (--split, --calibration-split)"
        )


def load_split(folder: Path, name: str, preprocessing: Preprocessing, slices: Iterable[str] = ()) -> Split:
    """Load x and y from `<name>.npz`, and the arrays that name slices; raise InputUnusable.

    The array `slice` names slices if the file has it, and none is asked for.
    """
    file = folder / f"{name}.npz"
    if not file.is_file():
        found = [path.name for path in folder.glob("*.npz")]
        raise InputUnusable(f"dataset: got {_list(found) if found else 'no .npz file'}, expected {file.name}")
    archive = Archive(file)
    if not {_EXAMPLES, _LABELS} <= archive.names:
        raise InputUnusable(f"{file.name}: got {_list(archive.names)}, expected x and y with a row for each example")
    examples, labels = archive.read(_EXAMPLES), archive.read(_LABELS)
    shapes = {_EXAMPLES: list(examples.shape), _LABELS: list(labels.shape)}
    if not all(shapes.values()):
        raise InputUnusable(f"{file.name}: got {shapes}, expected x and y with a row for each example")
    if not 0 < len(examples) == len(labels):
        raise InputUnusable(f"{file.name}: got {shapes}, expected x and y with equal numbers of rows, at least one")
    if examples.dtype.kind not in "biuf":
        raise InputUnusable(f"{file.name}: x: got values of type {examples.dtype}, expected numbers")
    try:
        scaled = (examples * preprocessing.scale + preprocessing.offset).astype(np.float32)
    except MemoryError:
        raise InputUnusable(f"{file.name}: x: got shape {list(examples.shape)}, which is too much memory") from None
    chosen = np.unique(np.linspace(0, len(examples) - 1, min(len(examples), _CASES)).astype(int))
    by_slice = _find_slices(archive, slices, len(examples), file.name)
    return Split(scaled, labels, by_slice, file.name, examples[chosen])


def _list(names: Iterable[str]) -> str:
    """Return the first names for a message."""
    found = [shorten_name(name) for name in sorted(names)]
    return ", ".join([*found[:_SHOWN], *(["…"] if len(found) > _SHOWN else [])]) or "no arrays"


def _find_slices(archive: Archive, names: Iterable[str], rows: int, file: str) -> dict[str, NDArray[np.str_]]:
    names = list(dict.fromkeys(names)) or ([_SLICE] if _SLICE in archive.names else [])
    found = {name: _read_slices(archive, name, rows, file) for name in names}
    count = sum(len(np.unique(values)) for values in found.values())
    if count > MAX_SLICES:
        raise InputUnusable(f"{file}: got {count} slices by {_list(names)}, expected at most {MAX_SLICES}")
    return found


def _read_slices(archive: Archive, name: str, rows: int, file: str) -> NDArray[np.str_]:
    others = archive.names - {_EXAMPLES, _LABELS}
    if name not in others:
        got = _list(others) if others else "no array but x and y"
        raise InputUnusable(f"{file}: got {got}, expected {shorten(name)}, which names slices")
    if len(name) > MAX_SLICE_NAME:
        raise InputUnusable(f"{file}: {shorten(name)}: expected a name of at most {MAX_SLICE_NAME} characters")
    values = archive.read(name)
    if values.shape != (rows,) or values.dtype.kind not in "biuU":
        got = f"{values.dtype} {list(values.shape)}"
        raise InputUnusable(f"{file}: {shorten(name)}: got {got}, expected {rows} names or integers")
    texts = values.astype(np.str_)
    longest = int(np.char.str_len(texts).max())
    if longest > MAX_SLICE_NAME:
        raise InputUnusable(f"{file}: {name}: got {longest} characters, expected at most {MAX_SLICE_NAME}")
    try:
        "".join(np.unique(texts)).encode()
    except UnicodeEncodeError as error:
        got = shorten(error.object[error.start])
        raise InputUnusable(f"{file}: {shorten(name)}: got {got}, expected names in Unicode") from None
    return texts
