"""Tables from Parquet and CSV files, and from what is known of images."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped, unused-ignore]
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from fairlead_datasets.errors import Unusable
from fairlead_datasets.pictures import hash_pixels, open_picture

from .errors import ValidationImpossible


def read_table(file: Path, folder: Path, kind: str, columns: Collection[str] | None) -> pd.DataFrame:
    """Return the table in a file, only these of its columns if some are named; raise ValidationImpossible."""
    name = file.relative_to(folder)
    try:
        return _read_parquet(file, columns) if kind == "parquet" else _read_csv(file, columns)
    except (pa.ArrowException, ValueError, OSError) as error:
        problem = " ".join(str(error).split())[:300]
        raise ValidationImpossible(f"{name}: cannot be read as {kind}: {problem}") from None


def _read_parquet(file: Path, columns: Collection[str] | None) -> pd.DataFrame:
    with pq.ParquetFile(file) as opened:
        names = [name for name in opened.schema_arrow.names if columns is None or name in columns]
        table = opened.read(names)
        # Without columns, the rows would be lost.
        return table.to_pandas() if names else pd.DataFrame(index=range(opened.metadata.num_rows))


def _read_csv(file: Path, columns: Collection[str] | None) -> pd.DataFrame:
    # Not pandas: of a row with too many fields it silently makes the first one the index.
    parse = pacsv.ParseOptions(newlines_in_values=True)
    with pacsv.open_csv(file, parse_options=parse) as opened:
        names = opened.schema.names
    kept = [name for name in names if columns is None or name in columns]
    # The first column counts the rows where no other does it.
    convert = pacsv.ConvertOptions(include_columns=kept or names[:1], strings_can_be_null=True)
    table = pacsv.read_csv(file, parse_options=parse, convert_options=convert)
    if binary := [field.name for field in table.schema if pa.types.is_binary(field.type)]:
        raise ValueError(f"column {', '.join(binary)} is not UTF-8")
    return table.to_pandas()[kept]


def read_images(files: Sequence[Path], folder: Path, classes: Collection[str]) -> pd.DataFrame:
    """Return a row for each image; raise ValidationImpossible for one that does not decode."""
    return pd.DataFrame([_describe_image(file, file.relative_to(folder), classes) for file in files])


def _describe_image(file: Path, path: Path, classes: Collection[str]) -> dict[str, Any]:
    try:
        image = open_picture(file, path.as_posix())
    except Unusable as error:
        raise ValidationImpossible(str(error)) from None
    pixels = np.asarray(image)
    split, label = _find_class(path, classes)
    return {
        "split": split, "path": path.as_posix(), "class": label, "format": path.suffix[1:].lower(), "mode": image.mode,
        "width": image.width, "height": image.height, "bytes": file.stat().st_size,
        "min": int(pixels.min()), "max": int(pixels.max()), "mean": float(pixels.mean()), "sha256": hash_pixels(image),
    }  # fmt: skip


def _find_class(path: Path, classes: Collection[str]) -> tuple[str, str]:
    """Return the split and the class of an image at `<class>/…` or `<split>/<class>/…`."""
    folders = path.parts[:-1]
    for place in range(min(2, len(folders))):
        if folders[place] in classes:
            return folders[0] if place else "data", folders[place]
    return (folders[0] if len(folders) > 1 else "data"), (folders[-1] if folders else "")
