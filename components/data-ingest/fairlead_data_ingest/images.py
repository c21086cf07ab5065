"""Images by class: decoded and described as rows of a table, so that they are split as rows are."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pyarrow as pa
from fairlead_datasets.errors import Unusable
from fairlead_datasets.pictures import hash_pixels, open_picture
from fairlead_datasets.survey.images import describe_images

from .problems import Problems
from .tables.rows import Rows

PIXELS = "pixels"
"""The column that is equal for images with equal pixels."""


def read_images(root: Path, files: Sequence[str]) -> Rows:
    """Return a row for each image: path, class, folder, size, hash of its pixels; raise Unusable for broken ones."""
    describe_images(root, files)
    columns: dict[str, list[str | int]] = {name: [] for name in ("path", "class", "folder", "width", "height", PIXELS)}
    problems = Problems()
    for name in files:
        try:
            image = open_picture(root / name, name)
        except Unusable as error:
            problems.add(str(error))
            continue
        path = PurePosixPath(name)
        where: tuple[str, ...] = (name, path.parts[0], path.parent.as_posix())
        values: tuple[str | int, ...] = (*where, image.width, image.height, hash_pixels(image))
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    problems.raise_any()
    names = tuple(str(name) for name in columns["path"])
    return Rows(pa.table(columns), names, tuple(range(len(names))))
