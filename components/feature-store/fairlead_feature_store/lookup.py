"""The look-up: entity keys in, the features that the online store has of them out."""

import os
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from fairlead_contracts.tensors import Array, TensorSpec
from fairlead_serving.errors import BadRequest, Code, ServingError
from feast.infra.online_stores.helpers import get_online_store_from_config
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from .addresses import find_places
from .clock import SKEW
from .columns import complete, describe_key
from .definitions import Definitions, Selected
from .errors import StoreAway
from .feast_objects import build_config, build_view
from .stores import store_errors

_VALUES = {
    "FP32": "float_val", "FP64": "double_val", "INT32": "int32_val", "INT64": "int64_val", "BOOL": "bool_val",
    "BYTES": "string_val",
}  # fmt: skip
Row = tuple[datetime | None, dict[str, Value] | None]


class Unavailable(ServingError):
    """The online store does not answer, or has only features that are too old."""

    code = Code.UNAVAILABLE
    reason = "FEATURES_UNAVAILABLE"


class Lookup:
    """The features of a set, by the keys of its entities."""

    def __init__(
        self, definitions: Definitions, set_: str, store: dict[str, Any], now: datetime | None, max_rows: int
    ) -> None:
        """Prepare; nothing is read yet. `now` is a time in the past to replay; `max_rows` bounds a request."""
        self._selected = definitions.select(set_)
        self._keys = definitions.keys(self._selected)
        self._places = find_places(store)
        self._config = build_config(store, definitions.project, Path("/"))
        self._views = {each.view: build_view(definitions, each.view) for each in self._selected}
        self._now, self._max_rows = now, max_rows
        self._reconnecting = threading.Lock()
        self._connect()
        self.inputs = [TensorSpec(name, kind, ("rows", 1)) for name, kind in self._keys.items()]
        self.outputs = [
            TensorSpec(column, feature.type, ("rows", 1))
            for each in self._selected
            for column, _, feature in each.columns()
        ]

    @property
    def threads(self) -> int:
        """Return how many look-ups may run at a time: SQLite has one connection."""
        return 1 if self._file else 8

    def read(self, keys: dict[str, Array]) -> dict[str, Array]:
        """Return the features of entities, each [n, 1]; raise BadRequest or Unavailable."""
        count = len(next(iter(keys.values())))
        if not 1 <= count <= self._max_rows:
            raise BadRequest(f"inputs: got {count} rows, expected 1 to {self._max_rows}")
        columns: dict[str, Array] = {}
        for each in self._selected:
            rows = self._read_rows(each, [keys[name].ravel().tolist() for name in each.definition.entities])
            columns |= self._build_columns(each, rows, keys)
        return columns

    def check(self) -> str | None:
        """Return why the online store cannot be read now, or None."""
        try:
            for each in self._selected:
                self._read_rows(each, [["" if self._keys[key] == "BYTES" else 0] for key in each.definition.entities])
        except Unavailable as error:
            return str(error)
        return None

    def _connect(self) -> None:
        online = self._config.online_store
        self._store = get_online_store_from_config(online)
        self._file = Path(online.path) if online.type == "sqlite" else None
        self._inode: int | None = None

    def _reconnect(self, failed: OnlineStore) -> None:
        """Connect again, unless another thread has done so since; a pool's connections would stay open otherwise."""
        with self._reconnecting:
            if self._store is not failed:
                return
            self._connect()
        if (pool := getattr(failed, "_conn_pool", None)) is not None:
            pool.close(timeout=0)

    def _read_rows(self, each: Selected, keys: Sequence[list[Any]]) -> list[Row]:
        """Return the rows of entities by the values of their keys; raise Unavailable."""
        entities = list(zip(*keys, strict=True))
        unique = list(dict.fromkeys(entities))
        kinds = [_VALUES[self._keys[name]] for name in each.definition.entities]
        asked = [
            EntityKey(
                join_keys=each.definition.entities,
                entity_values=[Value(**{kind: value}) for kind, value in zip(kinds, entity, strict=True)],
            )
            for entity in unique
        ]
        store = self._store
        try:
            self._follow_file()
            store = self._store
            with store_errors("the online store", self._places):
                found = store.online_read(self._config, self._views[each.view], asked, list(each.features))
        except StoreAway as error:
            self._reconnect(store)
            raise Unavailable(str(error)) from None
        by_entity = dict(zip(unique, found, strict=True))
        return [by_entity[entity] for entity in entities]

    def _follow_file(self) -> None:
        """Connect again if SQLite's file is another one; raise StoreAway if there is none, as SQLite would make one."""
        if self._file is None:
            return
        try:
            inode = os.stat(self._file).st_ino  # noqa: PTH116 - a Path's takes twice as long, for each look-up
        except OSError as error:
            raise StoreAway(f"the online store does not answer: {self._file}: {error.strerror}") from None
        if inode != self._inode:
            self._connect()
            self._inode = inode

    def _build_columns(self, each: Selected, rows: list[Row], keys: dict[str, Array]) -> dict[str, Array]:
        """Return a view's features, completed; raise BadRequest or Unavailable for one without a value."""
        fresh = self._find_fresh(each, rows)
        columns = {}
        for column, name, feature in each.columns():
            values = [
                _get(row[1], name, feature.type) if there else None for row, there in zip(rows, fresh, strict=True)
            ]
            present = np.array([value is not None for value in values])
            array, missing = complete(feature, np.array(values, object), present)
            if missing.any():
                self._explain(each, name, rows, keys, int(missing.argmax()))
            columns[column] = array.reshape(-1, 1)
        return columns

    def _find_fresh(self, each: Selected, rows: list[Row]) -> list[bool]:
        """Return which rows are not older than the view's ttl, nor of the future."""
        ttl = each.definition.ttl_seconds
        newest = self._find_newest()
        oldest = self._read_clock() - timedelta(seconds=ttl) if ttl else None
        return [event is not None and event <= newest and (oldest is None or event >= oldest) for event, _ in rows]

    def _explain(self, each: Selected, name: str, rows: list[Row], keys: dict[str, Array], index: int) -> None:
        """Raise the error of a row that has no value."""
        entity = describe_key({key: keys[key].ravel().tolist()[index] for key in each.definition.entities})
        event, values = rows[index]
        at = f"{each.view}:{name}: {entity}"
        if event is None:
            raise BadRequest(f"{at}: the online store has no such entity")
        if _get(values, name, self._type(each, name)) is None:
            raise BadRequest(f"{at}: has no value, and the feature has no default")
        if event > self._find_newest():
            raise Unavailable(f"{at}: is of {event.isoformat()}, expected an event that has happened")
        age = (self._read_clock() - event).total_seconds()
        raise Unavailable(f"{at}: is {age:.0f} s old, expected at most {each.definition.ttl_seconds}")

    def _type(self, each: Selected, name: str) -> str:
        return each.features[name].type

    def _find_newest(self) -> datetime:
        """Return the latest time of an event that counts: its writer may have another clock, a replay has one."""
        return self._now or self._read_clock() + SKEW

    def _read_clock(self) -> datetime:
        return self._now or datetime.fromtimestamp(time.time(), UTC)


def _get(values: dict[str, Value] | None, name: str, kind: str) -> Any:
    """Return a value in its stored form, or None; raise Unavailable if it is of another type than the definitions'."""
    value = values.get(name) if values else None
    stored = value.WhichOneof("val") if value is not None else None
    if stored is None or stored == "null_val":
        return None
    if stored != _VALUES[kind]:
        raise Unavailable(f"{name}: the online store has {stored}, expected {_VALUES[kind]}")
    return getattr(value, stored)
