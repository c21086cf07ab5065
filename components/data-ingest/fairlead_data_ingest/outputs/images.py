"""Writes the splits of images: the files as they are, with changed copies, or arrays of one size."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from fairlead_datasets.errors import Unusable
from fairlead_datasets.pictures import open_picture
from PIL import Image

from ..assign import WHOLE
from ..augment import change_image
from ..recipe import Augment, Recipe
from ..sources.fetched import check_size
from .written import Written


def write_images(parts: Mapping[str, pa.Table], root: Path, recipe: Recipe, kind: str, folder: Path) -> Written:
    """Write `<split>/<class>/…` or `<split>.npz`; raise Unusable."""
    classes = sorted({name for part in parts.values() for name in part["class"].to_pylist()})
    counts = {}
    for name, part in parts.items():
        augment = recipe.augment if recipe.augment and recipe.augment.split == name else None
        if kind == "npz":
            counts[name] = _write_arrays(part, root, recipe, augment, classes, folder / f"{name}.npz")
        else:
            # Without splits, as `fairlead dataset publish` has it: a folder for each class.
            counts[name] = _write_files(part, root, augment, folder if name == WHOLE else folder / name)
    total = {name: sum(each.get(name, 0) for each in counts.values()) for name in classes}
    facts = {"format": kind, "classes": dict(total)} | ({"labels": list(classes)} if kind == "npz" else {})
    return Written(facts, {name: sum(each.values()) for name, each in counts.items()}, counts)


def _write_files(part: pa.Table, root: Path, augment: Augment | None, folder: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    for path, label in zip(part["path"].to_pylist(), part["class"].to_pylist(), strict=True):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / path, target)
        counts[label] = counts.get(label, 0) + 1
        for index, copy in enumerate(_copies(root, path, augment), start=1):
            copied = folder / f"{path}.copy{index}.png"
            if copied.exists() or (root / f"{path}.copy{index}.png").exists():
                raise Unusable(f"{path}.copy{index}.png: is the name of a copy, expected no image of this name")
            copy.save(copied)
            counts[label] += 1
    return counts


def _write_arrays(
    part: pa.Table, root: Path, recipe: Recipe, augment: Augment | None, classes: list[str], file: Path
) -> dict[str, int]:
    if recipe.output.size is None:
        raise Unusable("output.size: got nothing, expected [height, width] for arrays of images")
    height, width = recipe.output.size
    copies = augment.copies if augment else 0
    size = part.num_rows * (1 + copies) * height * width * recipe.output.channels
    check_size(f"output: the pixels of {file.name}", size, recipe.source.size_limit)
    mode = "L" if recipe.output.channels == 1 else "RGB"
    pixels, labels = [], []
    for path, label in zip(part["path"].to_pylist(), part["class"].to_pylist(), strict=True):
        for image in (open_picture(root / path, path), *_copies(root, path, augment)):
            small = image.convert(mode).resize((width, height), Image.Resampling.BILINEAR)
            array = np.asarray(small)
            pixels.append(array[None] if array.ndim == 2 else array.transpose(2, 0, 1))
            labels.append(classes.index(label))
    np.savez(file, x=np.stack(pixels), y=np.array(labels, np.int64))
    return {name: labels.count(index) for index, name in enumerate(classes) if index in labels}


def _copies(root: Path, path: str, augment: Augment | None) -> Iterator[Image.Image]:
    """Yield an image's changed copies, which depend on nothing but its path, the seed and the number of the copy."""
    if augment is None or augment.images is None:
        return
    image = open_picture(root / path, path)
    for index in range(augment.copies):
        key = [augment.seed, index, *path.encode()]
        yield change_image(image, augment.images, np.random.default_rng(key))
