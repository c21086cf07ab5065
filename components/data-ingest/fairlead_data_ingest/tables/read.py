"""Reads a source's table: its files put together, compared with the schema."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fairlead_datasets.errors import Unusable
from fairlead_datasets.survey.tables import check_columns

from ..problems import Problems
from ..recipe import Recipe
from ..sources.fetched import Fetched
from . import types
from .csv_files import read_csv
from .rows import Rows
from .schema import check_schema

_BATCH = 1024
"""How many rows of a Parquet file are decoded before their size is checked: a few bytes may stand for large texts."""


def read_table(fetched: Fetched, kind: str, recipe: Recipe) -> Rows:
    """Return the rows of a source in the recipe's types; raise Unusable with all problems that were found."""
    if fetched.table is not None:
        names, tables = [recipe.source.kind], [fetched.table]
    else:
        names = list(fetched.files)
        tables, left = [], recipe.source.size_limit
        for name in names:
            file = fetched.root / name
            tables.append(read_csv(file, name, recipe.csv) if kind == "csv" else _read_parquet(file, name, left))
            left -= tables[-1].nbytes if kind == "parquet" else 0
    problems = Problems()
    tables = [
        _pick_columns(table, name, tables[0], recipe, problems) for name, table in zip(names, tables, strict=True)
    ]
    problems.raise_any()
    starts = np.cumsum([0, *(table.num_rows for table in tables[:-1])])
    rows = Rows(_join(tables), tuple(names), tuple(int(start) for start in starts))
    desired = {**fetched.types, **{name: column.type for name, column in recipe.columns.items()}}
    rows = _convert(rows, desired, kind == "csv", problems)
    check_schema(rows, recipe.columns, problems)
    problems.raise_any()
    return rows


def _read_parquet(file: Path, name: str, limit: int) -> pa.Table:
    batches, size = [], 0
    try:
        with pq.ParquetFile(file) as opened:
            for batch in opened.iter_batches(_BATCH):
                batches.append(batch)
                size += batch.nbytes
                if size > limit:
                    raise Unusable(f"{name}: got over {limit:,} bytes in memory, expected at most source.sizeLimit")
            table = pa.Table.from_batches(batches, opened.schema_arrow)
    except (pa.ArrowException, OSError) as error:
        raise Unusable(f"{name}: is no intact parquet file: {' '.join(str(error).split())[:200]}") from None
    check_columns(Path(name), table.column_names)
    if not table.num_rows:
        raise Unusable(f"{name}: has no rows, expected at least one")
    return table.replace_schema_metadata(None)


def _pick_columns(table: pa.Table, name: str, first: pa.Table, recipe: Recipe, problems: Problems) -> pa.Table:
    """Return the columns that the dataset has, in their order: those of the schema, and others of the first file."""
    schema = list(recipe.columns)
    known = schema + [name for name in first.column_names if name not in schema and recipe.other_columns == "keep"]
    known = known if schema else first.column_names
    missing = [column for column in known if column not in table.column_names]
    other = [column for column in table.column_names if column not in known]
    if missing:
        problems.add(f"{name}: has no column {_list(missing)}; got {_list(table.column_names)}")
    if other and (recipe.other_columns != "drop" or not schema):
        rejected = schema and recipe.other_columns == "reject"
        expected = "them in columns, or otherColumns: drop or keep" if rejected else "those of the first file alone"
        problems.add(f"{name}: got the columns {_list(other)}, expected {expected}")
    return table.select([column for column in known if column in table.column_names])


def _join(tables: Sequence[pa.Table]) -> pa.Table:
    try:
        return pa.concat_tables(tables, promote_options="permissive").combine_chunks()
    except pa.ArrowException as error:
        raise Unusable(f"the files' columns have different types: {' '.join(str(error).split())[:200]}") from None


def _convert(rows: Rows, desired: Mapping[str, str], texts: bool, problems: Problems) -> Rows:
    """Return the rows with each column in the type that is desired for it, or in one that fits."""
    columns = {}
    for name in rows.table.column_names:
        column, kind = rows.table[name], desired.get(name)
        if kind:
            converted = types.convert(column, kind)
            rows.report(problems, name, converted.wrong, types.EXPECTED[kind], column)
            columns[name] = converted.column
        elif texts:
            columns[name] = types.guess(column)
            if types.name_type(columns[name].type) == "text":
                strays = types.find_strays(column)
                rows.report(problems, name, strays, "a number as in most rows, or a type for it in columns", column)
        elif (found := types.normalize(column)) is not None:
            columns[name] = found
        else:
            expected = "numbers, texts, booleans, dates or times; name the columns to use, and otherColumns: drop"
            problems.add(f"{rows.names[0]}: column {name}: has the type {column.type}, expected {expected}")
    problems.raise_any()
    return rows.with_table(pa.table(columns))


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - 10:,} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more
