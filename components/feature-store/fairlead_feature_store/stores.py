"""Stores of Feast: which errors say that one does not answer, and the change of what a registry holds."""

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import psycopg
import redis
import sqlalchemy.exc
from feast import FeatureStore, FeatureView, FileSource
from feast.errors import FeatureViewNotFoundException

from .errors import StoreAway

_ERRORS = (sqlite3.Error, psycopg.Error, redis.RedisError, sqlalchemy.exc.SQLAlchemyError, OSError)


@contextlib.contextmanager
def store_errors(what: str, places: str) -> Iterator[None]:
    """Raise StoreAway for what clients of stores raise. Of their texts, only SQLite's have no part of an address."""
    try:
        yield
    except _ERRORS as error:
        cause = getattr(error, "orig", None) or error
        text = f": {str(cause).splitlines()[0][:200]}" if isinstance(cause, sqlite3.Error) and str(cause) else ""
        at = f" ({places})" if places else ""
        raise StoreAway(f"{what} does not answer: {type(cause).__name__}{text}{at}") from None


def find_view(store: FeatureStore, name: str) -> FeatureView | None:
    """Return a view of the registry, or None."""
    try:
        return store.registry.get_feature_view(name, store.project)
    except FeatureViewNotFoundException:
        return None


def get_source(view: FeatureView) -> FileSource:
    """Return where a view's history is: all of ours are in files."""
    assert isinstance(view.batch_source, FileSource)
    return view.batch_source


def find_change(old: FeatureView, new: FeatureView) -> str | None:
    """Return in which way a view would mean something else than it does under this name; None if it would not."""
    for what, one, other in (
        ("entities", _keys(old), _keys(new)),
        ("source", _source(old), _source(new)),
    ):
        if one != other:
            return f"{what}: got {other}, expected {one}"
    types = {field.name: field.dtype for field in new.features}
    for field in old.features:
        if types.get(field.name) != field.dtype:
            return f"features.{field.name}: got {types.get(field.name, 'none')}, expected {field.dtype}"
    return None


def _keys(view: FeatureView) -> list[Any]:
    return sorted((column.name, str(column.dtype)) for column in view.entity_columns)


def _source(view: FeatureView) -> tuple[str, ...]:
    source = get_source(view)
    return (source.path, source.timestamp_field, source.created_timestamp_column)
