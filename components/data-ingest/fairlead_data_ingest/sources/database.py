"""The rows of a query, from any database that SQLAlchemy knows and whose driver is installed."""

import hashlib
import re
import uuid
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import sqlalchemy as sa
from fairlead_contracts.errors import shorten
from fairlead_datasets.errors import Unusable
from fairlead_datasets.survey.tables import check_columns

from ..errors import SourceUnavailable
from ..source import Source
from ..tables.hashes import hash_rows
from ..tables.types import is_exact
from .fetched import Fetched, check_size
from .secrets import read_secret

_BATCH = 10_000
_LIMITS = {"pg8000": {"timeout": 600}, "pymysql": {"connect_timeout": 30, "read_timeout": 600}}
"""How many seconds a driver waits for an answer."""
_PASSING = (sa.exc.OperationalError, sa.exc.InterfaceError)
"""What drivers raise for a server that does not answer; SQLite has no server, and raises it for a missing table."""
_DRIVERS = {"postgresql": "postgresql+pg8000", "postgres": "postgresql+pg8000", "mysql": "mysql+pymysql"}
"""The drivers that are installed, for URLs that name none."""


def fetch(source: Source, base: Path, work: Path) -> Fetched:
    """Run the query; the URL, which may have a password, comes from the environment or a mounted file."""
    url, query = _read_url(source, base), _check_query(str(source.query))
    try:
        table = _run(url, query, source.size_limit)
    except sa.exc.DBAPIError as error:
        lasting = url.get_backend_name() == "sqlite" or not isinstance(error, _PASSING)
        raise (Unusable if lasting else SourceUnavailable)(f"query: {_hide(url, str(error.orig))[:500]}") from None
    except (sa.exc.SQLAlchemyError, ImportError) as error:
        raise Unusable(f"query: {_hide(url, str(error))[:500]}") from None
    where = f"{url.get_backend_name()}:{url.host or ''}/{Path(url.database or '').name}"
    digest = hashlib.sha256(hash_rows(table, table.column_names).tobytes()).hexdigest()
    origin = {"kind": "query", "database": where, "query": source.query, "rows": table.num_rows, "sha256": digest}
    return Fetched(work, (), origin, table=table)


def _read_url(source: Source, base: Path) -> sa.URL:
    name, text = read_secret(source.database_variable, source.database_file, base)
    if not text:
        raise Unusable(f"{name}: is absent or empty, expected a database's URL, such as postgresql://user:…@host/name")
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise Unusable(f"{name}: is no URL of a database, expected postgresql://user:…@host/name") from None
    return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))


def _check_query(query: str) -> str:
    """Return a query that is one statement and reads; raise Unusable."""
    query = query.strip().removesuffix(";")
    if ";" in query or not re.match(r"(?i)(\s|\(|--[^\n]*\n|/\*.*?\*/)*(select|with)\b", query, re.DOTALL):
        raise Unusable(f"source.query: got {shorten(query)}, expected one SELECT or WITH statement without semicolons")
    return query


def _connect(url: sa.URL) -> sa.Connection:
    """Connect for reading alone, where the database knows how; raise Unusable for unknown parameters of the URL."""
    backend, database = url.get_backend_name(), url.database
    if backend == "sqlite" and database and database != ":memory:":
        path = database.removeprefix("file:") if "uri" in url.query else quote(database)
        url = url.set(database=f"file:{path}", query={**url.query, "mode": "ro", "uri": "true"})
    limits = _LIMITS.get(url.get_driver_name(), {})
    engine = sa.create_engine(url, hide_parameters=True, poolclass=sa.pool.NullPool, connect_args=limits)
    try:
        connection = engine.connect()
    except TypeError as error:
        raise Unusable(f"query: {url.get_driver_name()}: {_hide(url, str(error))[:300]}") from None
    if backend == "mysql":
        connection.exec_driver_sql("set session transaction read only")
        connection.rollback()
    elif backend == "postgresql":
        connection = connection.execution_options(postgresql_readonly=True)
    # No parameters: a colon or a percent sign in the query is one.
    return connection.execution_options(stream_results=True, max_row_buffer=_BATCH, no_parameters=True)


def _run(url: sa.URL, query: str, max_bytes: int) -> pa.Table:
    """Return the rows; the transaction is rolled back."""
    parts, size = [], 0
    with _connect(url) as connection:
        result = connection.exec_driver_sql(query)
        names = check_columns(Path("query"), list(result.keys()))
        for rows in result.partitions(_BATCH):
            parts.append(_build_part(names, rows))
            size += parts[-1].nbytes
            check_size("query", size, max_bytes)
    if not parts:
        raise Unusable("query: returned no rows, expected at least one")
    try:
        return pa.concat_tables(parts, promote_options="permissive").combine_chunks()
    except pa.ArrowException as error:
        raise Unusable(f"query: a column has values of different types: {error}") from None


def _build_part(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pa.Table:
    columns = {}
    for name, values in zip(names, zip(*rows, strict=True), strict=True):
        try:
            columns[name] = pa.array([_convert(value) for value in values])
        except (pa.ArrowException, OverflowError) as error:
            raise Unusable(f"query: column {name}: {str(error)[:200]}; cast it in the query") from None
    return pa.table(columns)


def _convert(value: Any) -> Any:
    """Return a number or text for what only databases have."""
    if isinstance(value, Decimal):
        if not is_exact(str(value)):
            raise OverflowError(f"{value} is no exact 64-bit float")
        return float(value)
    return str(value) if isinstance(value, uuid.UUID) else value


def _hide(url: sa.URL, text: str) -> str:
    """Return a driver's message without the URL's secrets."""
    values = [value for item in url.query.values() for value in ([item] if isinstance(item, str) else item)]
    for secret in (url.password, *values):
        if secret:
            text = text.replace(str(secret), "…")
    return " ".join(text.split())
