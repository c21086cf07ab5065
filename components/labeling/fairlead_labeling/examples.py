"""What annotators see of an item: its values, or a picture."""

import io
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fairlead_artifacts import fetch
from fairlead_datasets.errors import Unusable
from numpy.typing import NDArray
from PIL import Image

from .documents import Tasks
from .rows import LABELS, Arrays, identify, read_split

_INPUT = "x"
_SMALLEST = 128
"""The shortest side of a picture: annotators do not see 8 by 8 pixels."""
_LARGEST = 4096
"""The longest side: what would be longer is a series, and shown as values."""
_NO_PICTURE = "none"


@dataclass(frozen=True)
class Example:
    """An item's inputs."""

    item: str
    values: Mapping[str, Any]
    """By the name of the feature, or of the array."""
    picture: bytes | None
    """PNG."""
    size: tuple[int, int]
    """Width and height of the picture."""


def read_examples(tasks: Tasks, shape: tuple[int, ...] | None) -> Iterator[Example]:
    """Yield the items' examples, with pictures if the inputs have the shape of one, or one is given; none for None.

    Raises Unusable, or ArtifactError.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "dataset")
        manifest = fetch(tasks.dataset.uri, folder, tasks.dataset.digest, kind="dataset")
        arrays = {name: array for name, array in read_split(folder, tasks.split).items() if name != LABELS}
    for name, array in arrays.items():
        if array.dtype.kind not in "biufU":
            raise Unusable(
                f"{tasks.split}.npz: {name} has data type {array.dtype}, expected numbers, booleans or texts"
            )
    ids, features = identify(arrays), manifest.parameters.get("features")
    names = list(map(str, features)) if isinstance(features, list) else []
    pictures = _find_pictures(arrays, shape)
    for item in tasks.items:
        if item.row >= len(ids) or ids[item.row] != item.id:
            raise Unusable(f"item {item.id[:12]}: is not in row {item.row} of {tasks.split}.npz")
        values = _read_values({name: array[item.row] for name, array in arrays.items()}, names)
        content, size = (None, (0, 0)) if pictures is None else _draw(pictures[item.row])
        yield Example(item.id, values, content, size)


def parse_shape(text: str) -> tuple[int, ...] | None:
    """Parse `8x8`, `3x32x32`, the empty text for the inputs' own shape, or `none`; raise Unusable."""
    if text in ("", _NO_PICTURE):
        return None if text else ()
    parts = text.split("x")
    numbers = tuple(int(part) for part in parts if part.isdigit() and 0 < int(part) <= 4096)
    if len(numbers) != len(parts) or len(parts) not in (2, 3) or (len(parts) == 3 and numbers[0] not in (1, 3)):
        raise Unusable(f"--picture: got {text[:40]}, expected HEIGHTxWIDTH or 1x… or 3xHEIGHTxWIDTH or none")
    return numbers


def _read_values(row: Mapping[str, Any], names: list[str]) -> Mapping[str, Any]:
    matrix = row.get(_INPUT)
    if matrix is not None and np.ndim(matrix) == 1 and len(names) == len(matrix):
        others = {name: value for name, value in row.items() if name != _INPUT}
        row = dict(zip(names, matrix, strict=True)) | others
    return {name: _to_json(np.asarray(value)) for name, value in row.items()}


def _to_json(value: NDArray[Any]) -> Any:
    """Return a value as JSON has it, null for numbers that are not finite."""
    if value.dtype.kind != "f":
        return value.tolist()
    return np.where(np.isfinite(value), value.astype(np.float64), None).tolist()  # type: ignore[call-overload]


def _find_pictures(arrays: Arrays, shape: tuple[int, ...] | None) -> NDArray[np.uint8] | None:
    """Return pixels `[rows, channels, height, width]`, or None for examples that are no pictures."""
    array = arrays.get(_INPUT)
    if shape is None or array is None or array.dtype.kind not in "biuf":
        return None
    own = array.shape[1:]
    if not shape:
        likely = len(own) == 2 or (len(own) == 3 and own[0] in (1, 3))
        if not likely or 0 in own or max(_find_size(own)) > _LARGEST:
            return None
        shape = own
    if int(np.prod(shape)) != int(np.prod(own)):
        raise Unusable(f"--picture: got {'x'.join(map(str, shape))}, but x has shape {list(own)}")
    width, height = _find_size(shape)
    if max(width, height) > _LARGEST:
        raise Unusable(f"--picture: got {'x'.join(map(str, shape))}, which would have {width} x {height} pixels, "
                       f"expected at most {_LARGEST}")  # fmt: skip
    pixels = array.reshape(len(array), *((1,) if len(shape) == 2 else ()), *shape)
    return pixels if pixels.dtype == np.uint8 else _stretch(pixels)


def _find_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the width and height of a picture of some shape, as it is drawn."""
    height, width = shape[-2:]
    scale = max(1, -(-_SMALLEST // min(height, width)))
    return width * scale, height * scale


def _stretch(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the pixels between black, the least value of all, and white."""
    values = np.nan_to_num(pixels.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = values.min(), values.max()
    return np.asarray((values - low) / ((high - low) or 1.0) * 255).round().astype(np.uint8)


def _draw(pixels: NDArray[np.uint8]) -> tuple[bytes, tuple[int, int]]:
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    image = image.resize(_find_size(pixels.shape), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue(), image.size
