"""Images by class: decoded and described as rows of a table, so that they are split as rows are."""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import pyarrow as pa
from fairlead_datasets.errors import Unusable
from fairlead_datasets.survey.images import describe_images
from PIL import Image, ImageOps, UnidentifiedImageError

from .problems import Problems
from .tables.rows import Rows

PIXELS = "pixels"
"""The column that is equal for images with equal pixels."""
MAX_PIXELS = 64_000_000
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, UnidentifiedImageError, Image.DecompressionBombError, Warning)
"""What Pillow raises for files that are damaged, no images or too large."""


def read_images(root: Path, files: Sequence[str]) -> Rows:
    """Return a row for each image: path, class, folder, size, hash of its pixels; raise Unusable for broken ones."""
    describe_images(root, files)
    columns: dict[str, list[str | int]] = {name: [] for name in ("path", "class", "folder", "width", "height", PIXELS)}
    problems = Problems()
    for name in files:
        try:
            image = open_image(root / name)
        except _BROKEN as error:
            problems.add(f"{name}: does not decode: {type(error).__name__}: {str(error).replace(f'{root}/', '')[:200]}")
            continue
        digest = hashlib.sha256(f"{image.mode} {image.size}".encode() + image.tobytes()).hexdigest()
        path = PurePosixPath(name)
        where: tuple[str, ...] = (name, path.parts[0], path.parent.as_posix())
        values: tuple[str | int, ...] = (*where, image.width, image.height, digest)
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    problems.raise_any()
    names = tuple(str(name) for name in columns["path"])
    return Rows(pa.table(columns), names, tuple(range(len(names))))


def open_image(file: Path) -> Image.Image:
    """Decode an image as gray (L) or RGB, turned as its camera says."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(file) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels, expected at most {MAX_PIXELS:,}")
            turned = ImageOps.exif_transpose(image)
            return turned.convert("L" if turned.mode in ("1", "L", "I;16") else "RGB")


def group_by_class(rows: pa.Table) -> Mapping[str, int]:
    """Return the number of images of each class."""
    names = [str(name) for name in rows["class"].to_pylist()]
    return {name: names.count(name) for name in sorted(set(names))}


def require_images(files: Sequence[str]) -> None:
    """Raise Unusable unless there are files."""
    if not files:
        raise Unusable("source: has no images, expected a subfolder of images for each class")
