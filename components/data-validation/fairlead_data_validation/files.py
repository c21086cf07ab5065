"""Tables from Parquet and CSV files, and from what is known of images."""

import csv
import sys
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped, unused-ignore]
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from fairlead_datasets.errors import Unusable
from fairlead_datasets.pictures import hash_pixels, open_picture

from .errors import ValidationImpossible

_LEADING_ZERO = r"^\s*[+-]?0[0-9]"


def read_tables(files: Sequence[Path], folder: Path, kind: str, columns: Collection[str] | None) -> list[pd.DataFrame]:
    """Return the table of each file, only these of its columns if some are named; raise ValidationImpossible."""
    parts = [_read_table(file, folder, kind, columns, ()) for file in files]
    texts = {name for part in parts for name in part.columns if pd.api.types.is_string_dtype(part[name])}
    # Codes may have leading zeros in one split only.
    mixed = [any(pd.api.types.is_numeric_dtype(part[name]) for name in texts & set(part.columns)) for part in parts]
    return [
        _read_table(file, folder, kind, columns, texts) if again and kind == "csv" else part
        for file, part, again in zip(files, parts, mixed, strict=True)
    ]


def _read_table(
    file: Path, folder: Path, kind: str, columns: Collection[str] | None, texts: Collection[str]
) -> pd.DataFrame:
    name = file.relative_to(folder)
    try:
        return _read_parquet(file, columns) if kind == "parquet" else _read_csv(file, columns, texts)
    except (pa.ArrowException, ValueError, OSError) as error:
        problem = " ".join(str(error).split())[:300]
        raise ValidationImpossible(f"{name}: cannot be read as {kind}: {problem}") from None


def _read_parquet(file: Path, columns: Collection[str] | None) -> pd.DataFrame:
    with pq.ParquetFile(file) as opened:
        names = [name for name in opened.schema_arrow.names if columns is None or name in columns]
        table = opened.read(names)
        # Without columns, the rows would be lost.
        return table.to_pandas() if names else pd.DataFrame(index=range(opened.metadata.num_rows))


def _read_csv(file: Path, columns: Collection[str] | None, texts: Collection[str]) -> pd.DataFrame:
    _check_quotes(file)
    # Not pandas: of a row with too many fields it silently makes the first one the index.
    parse = pacsv.ParseOptions(newlines_in_values=True)
    with pacsv.open_csv(file, parse_options=parse) as opened:
        names = opened.schema.names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"has several columns {', '.join(twice)}")
    kept = [name for name in names if columns is None or name in columns]
    # The first column counts the rows where no other does it.
    table = _parse_csv(file, parse, kept or names[:1], {})
    if codes := {*_find_codes(file, parse, table.schema), *texts} & set(table.schema.names):
        table = _parse_csv(file, parse, table.schema.names, dict.fromkeys(codes, pa.string()))
    if binary := [field.name for field in table.schema if pa.types.is_binary(field.type)]:
        raise ValueError(f"column {', '.join(binary)} is not UTF-8")
    return table.to_pandas()[kept]


def _check_quotes(file: Path) -> None:
    """Raise ValueError for a quote that is not closed where its field ends; pyarrow would merge rows."""
    csv.field_size_limit(sys.maxsize)
    # pyarrow checks the encoding, and names the column.
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as opened:
        reader = csv.reader(opened, strict=True)
        try:
            deque(reader, maxlen=0)
        except csv.Error as error:
            raise ValueError(f"line {reader.line_num}: {error}") from None


def _parse_csv(
    file: Path, parse: pacsv.ParseOptions, columns: Sequence[str], types: Mapping[str, pa.DataType]
) -> pa.Table:
    convert = pacsv.ConvertOptions(include_columns=columns, column_types=types, strings_can_be_null=True)
    return pacsv.read_csv(file, parse_options=parse, convert_options=convert)


def _find_codes(file: Path, parse: pacsv.ParseOptions, schema: pa.Schema) -> list[str]:
    """Return the columns of numbers with leading zeros, such as post codes: these are texts."""
    names = [field.name for field in schema if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)]
    texts = _parse_csv(file, parse, names, dict.fromkeys(names, pa.string())) if names else pa.table({})
    return [name for name in names if pc.any(pc.match_substring_regex(texts[name], _LEADING_ZERO)).as_py()]


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
