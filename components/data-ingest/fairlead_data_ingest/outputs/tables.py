"""Writes the splits of a table."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from fairlead_datasets.errors import Unusable
from numpy.typing import NDArray

from ..recipe import Output, Recipe
from ..sources.fetched import check_size
from ..tables.types import name_type
from .written import Written

MAX_CLASSES = 10_000
_RESERVED = {"file", "allow_pickle"}
"""Parameters of numpy's `savez`, which accepts arrays by keyword."""
_NUMERIC = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)


def write_table(parts: Mapping[str, pa.Table], recipe: Recipe, kind: str, folder: Path) -> Written:
    """Write `<split>.csv`, `.parquet` or `.npz`, or folders by date; raise Unusable."""
    output, first = recipe.output, next(iter(parts.values()))
    _check_names(output, first.column_names)
    labels = _list_labels(parts, recipe)
    facts: dict[str, Any] = {"format": kind, "rows": sum(part.num_rows for part in parts.values())}
    facts["columns"] = list(first.column_names)
    if kind == "npz":
        features = list(output.features or find_features(first, recipe))
        named = bool(labels) and pa.types.is_string(first[output.label].type)
        facts |= {"features": features} | ({"labels": labels} if named else {})
        for name, part in parts.items():
            _check_texts(part, [*features, *output.keep], recipe.source.size_limit)
            np.savez(folder / f"{name}.npz", **_build_arrays(part, output, features, labels))
    else:
        if kind == "csv":
            facts["types"] = {field.name: name_type(field.type) or "text" for field in first.schema}
        for name, part in parts.items():
            _write_part(part, name, kind, output.partition, folder)
    classes = {name: _count(part[output.label]) for name, part in parts.items()} if output.label and labels else {}
    return Written(facts, {name: part.num_rows for name, part in parts.items()}, classes)


def find_features(table: pa.Table, recipe: Recipe) -> list[str]:
    """Return the columns of numbers and booleans that have no other role."""
    output, split = recipe.output, recipe.split
    others = {output.label, output.partition, *output.keep}
    if split:
        others |= {*split.group, split.time.column if split.time else None}
    return [
        field.name for field in table.schema
        if field.name not in others and any(fits(field.type) for fits in _NUMERIC)
    ]  # fmt: skip


def _check_names(output: Output, columns: Sequence[str]) -> None:
    named = (("label", (output.label,)), ("features", output.features or ()), ("keep", output.keep))
    for role, names in (*named, ("partition", (output.partition,))):
        if missing := [name for name in names if name is not None and name not in columns]:
            raise Unusable(f"output.{role}: no column {', '.join(missing)}; got {', '.join(columns[:10])}")


def _list_labels(parts: Mapping[str, pa.Table], recipe: Recipe) -> list[str]:
    """Return the classes, in the order of their indexes where they are texts; none for a label that is no class."""
    label = recipe.output.label
    if label is None:
        return []
    desired = recipe.columns.get(label)
    if desired and desired.values:
        return [str(value) for value in desired.values]
    found = pa.concat_arrays([pc.unique(part[label]) for part in parts.values()])
    if pa.types.is_floating(found.type):
        return []
    names = pc.unique(pc.cast(found.drop_null(), pa.string())).to_pylist()
    if len(names) > MAX_CLASSES:
        raise Unusable(f"output.label: {label} has {len(names):,} values, expected at most {MAX_CLASSES:,} classes")
    return sorted(
        names,
        key=lambda name: (not pa.types.is_string(found.type) and int(name) if name.lstrip("-").isdigit() else 0, name),
    )


def _check_texts(part: pa.Table, names: Sequence[str], limit: int) -> None:
    """Raise Unusable for texts whose array, in which each one has the length of the longest, would be too large."""
    for name in names:
        if pa.types.is_string(part[name].type):
            longest = pc.max(pc.utf8_length(part[name])).as_py() or 0
            check_size(f"output: the array of {name}", 4 * longest * part.num_rows, limit)


def _build_arrays(part: pa.Table, output: Output, features: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    if not features:
        raise Unusable("output.features: no column of numbers is left, expected at least one")
    arrays = {name: _to_array(part[name], name) for name in features}
    if output.arrays == "matrix":
        texts = [name for name, array in arrays.items() if array.dtype.kind == "U"]
        if texts:
            raise Unusable(f"output.features: {', '.join(texts)}: got texts, expected numbers; or arrays: columns")
        arrays = {"x": np.stack([array.astype(np.float32) for array in arrays.values()], axis=1)}
    others = {name: _to_array(part[name], name) for name in output.keep}
    label = {"y": _to_labels(part[output.label], output.label, labels)} if output.label else {}
    names = Counter([*arrays, *others, *label])
    # Readers make columns of the matrix again, next to the other arrays.
    columns = Counter([*features, *others, *label])
    if same := sorted({name for each in (names, columns) for name, count in each.items() if count > 1}):
        raise Unusable(f"output: two arrays or features would be named {', '.join(same)}, expected different names")
    if reserved := sorted((names.keys() & _RESERVED) | (columns.keys() & {"split"})):
        raise Unusable(f"output: {', '.join(reserved)}: is reserved for another purpose; rename the column")
    return arrays | others | label


def _to_labels(column: pa.ChunkedArray, name: str, labels: Sequence[str]) -> NDArray[Any]:
    if column.null_count:
        raise Unusable(
            f"output.label: {name} has {column.null_count:,} rows without a value, expected a label for each"
        )
    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.int64())
    if pa.types.is_string(column.type):
        return np.asarray(pc.index_in(column, pa.array(labels, pa.string()))).astype(np.int64)
    return _to_array(column, name)


def _to_array(column: pa.ChunkedArray, name: str) -> NDArray[Any]:
    """Return the values; a number that is missing is NaN, a text or time the empty text."""
    if pa.types.is_string(column.type):
        return np.array(pc.fill_null(column, "").to_pylist(), dtype=str)
    if pa.types.is_temporal(column.type):
        return np.array(pc.fill_null(pc.cast(column, pa.string()), "").to_pylist(), dtype=str)
    if pa.types.is_boolean(column.type) and column.null_count:
        raise Unusable(f"{name}: {column.null_count:,} rows have no value, expected true or false in each")
    if pa.types.is_integer(column.type) and column.null_count:
        try:
            return np.asarray(pc.cast(column, pa.float64()).to_numpy(), np.float64)
        except pa.ArrowInvalid:
            raise Unusable(f"{name}: has integers above 2^53 and rows without one, expected one of both") from None
    array: NDArray[Any] = column.to_numpy()
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def _write_part(part: pa.Table, name: str, kind: str, partition: str | None, folder: Path) -> None:
    if partition is None:
        _write_file(part, folder / f"{name}.{kind}", kind)
        return
    column = part[partition]
    if not pa.types.is_temporal(column.type):
        raise Unusable(f"output.partition: {partition} has the type {column.type}, expected a date or a timestamp")
    if column.null_count:
        raise Unusable(f"output.partition: {partition}: {column.null_count:,} rows have no date, expected one in each")
    days = pc.cast(pc.floor_temporal(column, unit="day"), pa.date32())
    for day in sorted(pc.unique(days).to_pylist()):
        inside = part.filter(pc.equal(days, pa.scalar(day)))
        target = folder / name / f"date={day.isoformat()}" / f"data.{kind}"
        target.parent.mkdir(parents=True)
        _write_file(inside, target, kind)


def _write_file(part: pa.Table, file: Path, kind: str) -> None:
    if kind == "csv":
        pacsv.write_csv(part, file)
    else:
        pq.write_table(part, file, compression="zstd")


def _count(column: pa.ChunkedArray) -> dict[str, int]:
    found = pc.value_counts(pc.cast(column, pa.string())).to_pylist()
    return {str(each["values"]): each["counts"] for each in sorted(found, key=lambda each: str(each["values"]))}
