"""A cache of watched objects, each at the newest version seen.

Entries only change to newer versions. So events may be duplicated, late or out of order, lists may be merged at any
time, and the response to a write is cached like an event, so that later reads see the write.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from fairlead.kube.kinds import Kind
from fairlead.kube.transport import Object


@dataclass(slots=True)
class Entry:
    """A cached object: its identity and version. Subclasses add its content."""

    kind: str
    namespace: str
    name: str
    uid: str
    version: int


AnyEntry = TypeVar("AnyEntry", bound=Entry)


class Cache(Generic[AnyEntry]):
    """Entries by uid. `read` converts an object to an entry; `changed` is called for every change of an entry."""

    def __init__(self, read: Callable[[Kind, Object], AnyEntry], changed: Callable[[AnyEntry], None]) -> None:
        self._read, self._changed = read, changed
        self._entries: dict[str, AnyEntry] = {}
        self._deleted: dict[str, int] = {}
        """The last versions of deleted uids, so that a late event cannot restore one."""
        self._deleted_earlier: dict[str, int] = {}

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)

    def put(self, kind: Kind, obj: Object, own: bool = False) -> AnyEntry | None:
        """Cache an object unless a newer version is known; return its entry if it was cached.

        `own` marks the response to our own write, for which `changed` is not called.
        """
        meta = obj["metadata"]
        uid, version = meta["uid"], int(meta["resourceVersion"])
        if version <= self.seen(uid):
            return None
        before = self._entries.get(uid)
        entry = self._read(kind, obj)
        self._entries[uid] = entry
        self._replaced(before, entry)
        if not own and (before is None or self._differs(before, entry)):
            self._changed(entry)
        return entry

    def drop(self, obj: Object) -> None:
        """Remove a deleted object."""
        meta = obj["metadata"]
        self.forget(meta["uid"], int(meta["resourceVersion"]))

    def forget(self, uid: str, version: int) -> None:
        """Remove the entry of a uid and ignore later events older than `version`."""
        self._deleted[uid] = max(version, self._deleted.get(uid, 0))
        if entry := self._entries.pop(uid, None):
            self._replaced(entry, None)
            self._changed(entry)

    def clear(self, kind: Kind, namespace: str | None) -> None:
        """Remove what is known of a kind that cannot be read any more. It is not deleted, so a list brings it back."""
        for uid in self.versions(kind, namespace):
            entry = self._entries.pop(uid)
            self._replaced(entry, None)
            self._changed(entry)

    def replace(self, kind: Kind, namespace: str | None, objects: Iterable[Object], version: str) -> None:
        """Merge a complete list of a kind, read at `version`; older entries that it does not contain are removed."""
        found = set()
        for obj in objects:
            found.add(obj["metadata"]["uid"])
            self.put(kind, obj)
        for uid, known in self.versions(kind, namespace).items():
            if uid not in found and known <= int(version):
                self.forget(uid, int(version))

    def seen(self, uid: str) -> int:
        """Return the newest known version of a uid, including its deletion; 0 if there is none."""
        entry = self._entries.get(uid)
        return entry.version if entry else self._deleted.get(uid) or self._deleted_earlier.get(uid, 0)

    def purge(self) -> None:
        """Forget deletions from before the previous call. Call it rarely enough that no older event is pending."""
        self._deleted, self._deleted_earlier = {}, self._deleted

    def versions(self, kind: Kind, namespace: str | None) -> dict[str, int]:
        """Return the versions of a kind's entries by uid."""
        return {
            entry.uid: entry.version
            for entry in self._entries.values()
            if entry.kind == kind.kind and namespace in (None, entry.namespace)
        }

    def _differs(self, before: AnyEntry, after: AnyEntry) -> bool:
        """Return whether `changed` must be called for a change."""
        return before.version != after.version

    def _replaced(self, before: AnyEntry | None, after: AnyEntry | None) -> None:
        """Update indexes."""
