"""What the API server's watches reported, each object at the newest version that was seen.

An entry only ever moves to a newer version. So events may arrive twice, late or in the wrong order, a list may be
merged at any time, and the answer to a write is cached like an event: whoever reads the cache after the write sees it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from fairlead.kube.kinds import Kind
from fairlead.kube.transport import Object


@dataclass(slots=True)
class Entry:
    """One cached object: its identity and version. Subclasses add what is kept of it."""

    kind: str
    namespace: str
    name: str
    uid: str
    version: int


AnyEntry = TypeVar("AnyEntry", bound=Entry)


class Cache(Generic[AnyEntry]):
    """Entries by uid. `read` makes an entry of an object; `changed` hears of every entry that came, changed or went."""

    def __init__(self, read: Callable[[Kind, Object], AnyEntry], changed: Callable[[AnyEntry], None]) -> None:
        self._read, self._changed = read, changed
        self._entries: dict[str, AnyEntry] = {}
        self._gone: dict[str, int] = {}
        """Deleted uids with their last version: a late event must not bring one back."""
        self._long_gone: dict[str, int] = {}

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)

    def put(self, kind: Kind, obj: Object, own: bool = False) -> AnyEntry | None:
        """Cache an object unless a newer version is known; return its entry if it was cached.

        `own` marks the answer to a write of ours: whoever wrote knows, so `changed` is not called.
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
        """Forget an object that was deleted."""
        meta = obj["metadata"]
        self.forget(meta["uid"], int(meta["resourceVersion"]))

    def forget(self, uid: str, version: int) -> None:
        """Forget the entry of a uid, and everything older than `version` that may still be reported of it."""
        self._gone[uid] = max(version, self._gone.get(uid, 0))
        if entry := self._entries.pop(uid, None):
            self._replaced(entry, None)
            self._changed(entry)

    def replace(self, kind: Kind, namespace: str | None, objects: Iterable[Object], version: str) -> None:
        """Merge a complete list of a kind, read at `version`; entries that it lacks were deleted, unless newer."""
        found = set()
        for obj in objects:
            found.add(obj["metadata"]["uid"])
            self.put(kind, obj)
        for uid, known in self.versions(kind, namespace).items():
            if uid not in found and known <= int(version):
                self.forget(uid, int(version))

    def seen(self, uid: str) -> int:
        """Return the newest version that is known of a uid, that of its deletion included; 0: none."""
        entry = self._entries.get(uid)
        return entry.version if entry else self._gone.get(uid) or self._long_gone.get(uid, 0)

    def purge(self) -> None:
        """Forget the deletions from before the last call; called so rarely that no older event is on its way."""
        self._gone, self._long_gone = {}, self._gone

    def versions(self, kind: Kind, namespace: str | None) -> dict[str, int]:
        """Return uid -> version of a kind's entries."""
        return {
            entry.uid: entry.version
            for entry in self._entries.values()
            if entry.kind == kind.kind and namespace in (None, entry.namespace)
        }

    def _differs(self, before: AnyEntry, after: AnyEntry) -> bool:
        """Return whether a change is worth a call of `changed`."""
        return before.version != after.version

    def _replaced(self, before: AnyEntry | None, after: AnyEntry | None) -> None:
        """Keep indexes up to date."""
