"""Tables from artifacts: fetched, checked against the definitions, and read with their times in UTC."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped, unused-ignore]
import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]
import pyarrow.compute as pc  # type: ignore[import-untyped, unused-ignore]
import pyarrow.csv  # type: ignore[import-untyped, unused-ignore]
import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]
from fairlead_artifacts import Parent

from .definitions import Definitions
from .errors import Unusable
from .history import CREATED, EVENT, KNOWN
from .places import Place

_UTC = pa.timestamp("ns", "UTC")
_INT32 = ("int8", "int16", "int32", "uint8", "uint16")
_INT64 = (*_INT32, "int64", "uint32")
_FLOAT = (*_INT64, "halffloat", "float", "double")
_TEXT = ("string", "large_string")
_ARROW = {
    "FP32": pa.float32(), "FP64": pa.float64(), "INT32": pa.int32(), "INT64": pa.int64(), "BOOL": pa.bool_(),
    "BYTES": pa.string(),
}  # fmt: skip
_ACCEPTED = {"FP32": _FLOAT, "FP64": _FLOAT, "INT32": _INT32, "INT64": _INT64, "BOOL": ("bool",), "BYTES": _TEXT}


def fetch_sources(
    definitions: Definitions, views: Iterable[str], places: Mapping[str, Place], folder: Path
) -> list[Parent]:
    """Fetch the artifacts of some views below a folder, each at its name, and check their tables; raise Unusable."""
    views = list(views)
    wanted = sorted({definitions.views[name].source.artifact for name in views})
    if missing := [name for name in wanted if name not in places]:
        raise Unusable(f"sources: got {', '.join(places) or 'none'}, expected also {', '.join(missing)}")
    parents = [places[name].fetch(folder / name, f"source-{name}", "dataset") for name in wanted]
    for name in views:
        _check_view(definitions, name, folder)
    return parents


def read_history(folder: Path, source: Any, keys: Sequence[str], features: Sequence[str]) -> pd.DataFrame:
    """Read the columns of a Feast FileSource below a folder, with EVENT, CREATED and KNOWN; raise Unusable.

    The source's tags have the type of each.
    """
    times = [name for name in (source.timestamp_field, source.created_timestamp_column) if name]
    names = list(dict.fromkeys([*keys, *features, *times]))
    table = _read_parquet(folder / source.path, source.path, names)
    frame = to_frame(table, {name: source.tags[name] for name in (*keys, *features)}, [*keys, *times], source.path)
    event = frame[source.timestamp_field]
    created = frame[source.created_timestamp_column] if source.created_timestamp_column else event
    return frame.assign(**{EVENT: event, CREATED: created, KNOWN: np.maximum(event, created)})


def read_rows(folder: Path, keys: Mapping[str, str], time: str) -> pd.DataFrame:
    """Read the entity rows, the only Parquet or CSV file of an artifact; raise Unusable."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".parquet", ".csv"))
    if len(files) != 1:
        found = ", ".join(path.name for path in files) or "none"
        raise Unusable(f"entity rows: got the tables {found}, expected one .parquet or .csv file")
    (file,) = files
    table = _read_csv(file, keys, time) if file.suffix == ".csv" else _read_parquet(file, file.name)
    _check_time(table.schema, time, file.name)
    for name, kind in keys.items():
        _check_type(table.schema, name, kind, file.name)
    return to_frame(table, keys, [*keys, time], file.name)


def to_frame(table: Any, types: Mapping[str, str], required: Sequence[str], at: str) -> pd.DataFrame:
    """Return a table whose required columns have no nulls, and some columns their types; raise Unusable.

    Its times, which need a zone, are in UTC.
    """
    for name, kind in types.items():
        table = table.set_column(
            table.schema.get_field_index(name), name, _cast(table.column(name), kind, f"{at}: {name}")
        )
    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            if field.type.tz is None:
                raise Unusable(f"{at}: {field.name}: got timestamps without a time zone, expected ones with a zone")
            try:
                table = table.set_column(index, field.name, table.column(index).cast(_UTC))
            except pa.ArrowInvalid as error:
                raise Unusable(f"{at}: {field.name}: {error}") from None
    for name in required:
        if nulls := table.column(name).null_count:
            raise Unusable(f"{at}: {name}: got {nulls} rows without a value, expected none")
    return table.to_pandas(integer_object_nulls=True)


def _cast(column: Any, kind: str, at: str) -> Any:
    """Return a column in its type; raise Unusable for a value that the type does not hold."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        cast = column.cast(_ARROW[kind])  # checks integers, but not what is too large for the smaller float
    except pa.ArrowInvalid as error:
        raise Unusable(f"{at}: got values that are none of {kind}: {error}") from None
    if pa.types.is_float64(column.type) and kind == "FP32":
        lost = pc.and_(pc.is_finite(column), pc.invert(pc.is_finite(cast)))
        if pc.any(lost).as_py():
            raise Unusable(f"{at}: got values that are none of {kind}, such as {column.filter(lost)[0].as_py()}")
    return cast


def _check_view(definitions: Definitions, name: str, folder: Path) -> None:
    view = definitions.views[name]
    source = view.source
    at = f"views.{name}: {source.artifact}/{source.file}"
    schema = _open(folder / source.artifact / source.file, at).schema_arrow
    for column in (source.timestamp, source.created):
        if column is not None:
            _check_time(schema, column, at)
    for column in view.entities:
        _check_type(schema, column, definitions.entities[column], at)
    for column, feature in view.features.items():
        _check_type(schema, column, feature.type, at)


def _check_time(schema: Any, name: str, at: str) -> None:
    found = _require(schema, name, at).type
    if not pa.types.is_timestamp(found) or found.tz is None:
        raise Unusable(f"{at}: {name}: got {found}, expected timestamps with a time zone")


def _check_type(schema: Any, name: str, kind: str, at: str) -> None:
    found = _require(schema, name, at).type
    plain = found.value_type if pa.types.is_dictionary(found) else found
    if str(plain) not in _ACCEPTED[kind]:
        raise Unusable(f"{at}: {name}: got {found}, expected {kind} ({', '.join(_ACCEPTED[kind])})")


def _require(schema: Any, name: str, at: str) -> Any:
    if name not in schema.names:
        raise Unusable(f"{at}: got the columns {', '.join(schema.names)[:500]}, expected {name} among them")
    return schema.field(name)


def _open(file: Path, at: str) -> Any:
    if not file.is_file():
        found = ", ".join(sorted(path.name for path in file.parent.glob("*")))[:500] or "nothing"
        raise Unusable(f"{at}: no such file, the artifact has {found}")
    try:
        return pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise Unusable(f"{at}: is not a Parquet file: {error}") from None


def _read_parquet(file: Path, at: str, names: Sequence[str] | None = None) -> Any:
    try:
        return _open(file, at).read(columns=names)
    except (pa.ArrowException, OSError) as error:
        raise Unusable(f"{at}: cannot be read: {error}") from None


def _read_csv(file: Path, keys: Mapping[str, str], time: str) -> Any:
    types = {name: pa.string() if kind == "BYTES" else pa.int64() for name, kind in keys.items()} | {time: _UTC}
    options = pyarrow.csv.ConvertOptions(column_types=types)
    try:
        return pyarrow.csv.read_csv(file, convert_options=options)
    except (pa.ArrowException, OSError) as error:
        raise Unusable(f"{file.name}: cannot be read as CSV: {error}") from None
