"""The cache of our own resources: the objects that are reconciled."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from fairlead.kube.cache import Cache, Entry
from fairlead.kube.kinds import Key, Kind
from fairlead.kube.transport import Object


@dataclass(slots=True)
class StoredResource(Entry):
    """One resource, kept as JSON: a fifth of the memory of what is made of it."""

    json: bytes
    """What the API server sent, without managedFields."""
    deleting: bool
    """It only waits for its finalizers."""
    model: Any = None
    """The validated object while something is due for it; None: make it of the JSON."""

    def load(self) -> Object:
        """Return the object."""
        return dict(orjson.loads(self.json))

    def written(self, version: int, status: Object, model: Any) -> None:
        """Note a status that was written: its event is no news then."""
        self.json = orjson.dumps(self.load() | {"status": status})
        self.version, self.model = max(self.version, version), model


class ResourceCache(Cache[StoredResource]):
    """Resources by key. Of two with one name, an old one and its successor, the newer counts."""

    def __init__(self, changed: Callable[[Key], None]) -> None:
        super().__init__(_read_resource, lambda entry: changed(Key(entry.kind, entry.namespace, entry.name)))
        self._by_key: dict[Key, StoredResource] = {}

    def get(self, key: Key) -> StoredResource | None:
        """Return the resource of a key; None: it does not exist."""
        return self._by_key.get(key)

    def __iter__(self) -> Iterator[Key]:
        """Iterate over the keys of all resources, as they are now."""
        return iter(list(self._by_key))

    def _replaced(self, before: StoredResource | None, after: StoredResource | None) -> None:
        if after:
            key = Key(after.kind, after.namespace, after.name)
            known = self._by_key.get(key)
            if known is None or known.version < after.version:
                self._by_key[key] = after
        elif before:
            key = Key(before.kind, before.namespace, before.name)
            if (known := self._by_key.get(key)) and known.uid == before.uid:
                del self._by_key[key]


def _read_resource(kind: Kind, obj: Object) -> StoredResource:
    meta = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return StoredResource(
        kind=kind.kind,
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        version=int(meta["resourceVersion"]),
        json=orjson.dumps({**obj, "metadata": meta}),
        deleting="deletionTimestamp" in meta,
    )
