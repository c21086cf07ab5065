"""The next version of a dataset: labelled examples move from a split without labels, or are labelled anew in theirs."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fairlead_artifacts import JsonValue, Manifest
from fairlead_contracts.array_archives import write_arrays
from fairlead_datasets.errors import Unusable
from numpy.typing import NDArray

from .gate import bound
from .rows import LABELS, Arrays, count_rows, identify, read_split

_RECIPE = "recipe.json"


@dataclass(frozen=True)
class Change:
    """What changes in a dataset."""

    split: str
    """The split that has the examples."""
    into: str
    """The split into which examples without labels move."""
    labels: Mapping[str, int]
    """The index of each item's label."""


def write_next(old: Path, new: Path, change: Change) -> Mapping[str, int]:
    """Write the next version into an empty folder; return its splits' sizes, or raise Unusable.

    Files of other splits are copied as they are, so that no example can move between them.
    """
    arrays = read_split(old, change.split)
    ids = identify(arrays)
    if missing := sorted(set(change.labels) - set(ids)):
        lines = [f"item {item[:12]}: is not in {change.split}.npz" for item in missing]
        raise Unusable("\n".join(bound(lines)))
    chosen = np.array([item in change.labels for item in ids])
    values = np.array([change.labels[item] for item in ids if item in change.labels], np.int64)
    if LABELS in arrays:
        written: Mapping[str, Arrays] = {change.split: _label_again(arrays, chosen, values, change.split)}
    else:
        _check_elsewhere(old, change, set(change.labels))
        written = _move(arrays, read_split(old, change.into), chosen, values, change)
    for file in sorted(path for path in old.rglob("*") if path.is_file()):
        name = file.relative_to(old).as_posix()
        # the recipe made the old version; it cannot make this one
        if name != _RECIPE and name not in {f"{split}.npz" for split in (change.split, *written)}:
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, new / name)
    for split, content in written.items():
        write_arrays(new / f"{split}.npz", content)
    return {file.stem: count_rows(read_split(new, file.stem)) for file in sorted(new.glob("*.npz"))}


def build_parameters(old: Manifest, sizes: Mapping[str, int], labels: tuple[str, ...]) -> dict[str, JsonValue]:
    """Return the parameters of the next version's manifest: what still holds of the old one's, and the new sizes."""
    kept = {key: old.parameters[key] for key in ("columns", "features") if key in old.parameters}
    rows = {"rows": sum(sizes.values())} if "rows" in old.parameters else {}
    return {"format": "npz", **kept, **rows, "labels": list(labels), "splits": dict(sizes)}


def _label_again(arrays: Arrays, chosen: NDArray[Any], values: NDArray[Any], split: str) -> Arrays:
    labels = arrays[LABELS]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise Unusable(f"{split}.npz: {LABELS} is {labels.dtype} {list(labels.shape)}, expected an index for each row")
    changed = labels.copy()
    changed[chosen] = values.astype(labels.dtype)
    if not np.array_equal(changed[chosen], values):
        raise Unusable(f"{split}.npz: {LABELS} is {labels.dtype}, expected a type that can hold {values.max()}")
    return {**arrays, LABELS: changed}


def _move(
    pool: Arrays, target: Arrays, chosen: NDArray[Any], values: NDArray[Any], change: Change
) -> Mapping[str, Arrays]:
    moved = {**{name: array[chosen] for name, array in pool.items()}, LABELS: values}
    shapes = [{name: (a.dtype.kind, *a.shape[1:]) for name, a in part.items()} for part in (target, moved)]
    if shapes[0] != shapes[1]:
        raise Unusable(f"{change.split}.npz: got {shapes[1]} with labels, expected the arrays of {change.into}.npz: "
                       f"{shapes[0]}")  # fmt: skip
    joined = {}
    for name, array in target.items():
        column = moved[name]
        if array.dtype.kind != "U":
            column = column.astype(array.dtype)
            if not np.array_equal(column, moved[name], equal_nan=array.dtype.kind == "f"):
                raise Unusable(f"{change.split}.npz: {name} has {pool[name].dtype}, expected {array.dtype}, "
                               f"as {change.into}.npz")  # fmt: skip
        joined[name] = np.concatenate([array, column])
    rest = {name: array[~chosen] for name, array in pool.items()}
    # an empty split is none
    return {change.into: joined} | ({change.split: rest} if count_rows(rest) else {})


def _check_elsewhere(folder: Path, change: Change, items: set[str]) -> None:
    """Raise Unusable for items that another split has, too: one of the test set must not become one to train on."""
    lines = []
    for file in sorted(folder.glob("*.npz")):
        if file.stem != change.split:
            found = items & set(identify(read_split(folder, file.stem)))
            lines += [f"item {item[:12]}: is in {file.name}, too, and does not move" for item in sorted(found)]
    if lines:
        raise Unusable("\n".join(bound(lines)))
