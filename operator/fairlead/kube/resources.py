"""The cache of the custom resources that are reconciled."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from fairlead.core.managing import is_foreign
from fairlead.core.model_deployment.claims import Claim, read_claim
from fairlead.core.training_job.summary import JobSummary, summarize_job
from fairlead.kube.cache import Cache, Entry
from fairlead.kube.kinds import MODEL_DEPLOYMENT, TRAINING_JOB, Key, Kind
from fairlead.kube.transport import Object


@dataclass(slots=True)
class StoredResource(Entry):
    """A resource, stored as JSON, which needs a fifth of the parsed object's memory."""

    json: bytes
    """The object without managedFields."""
    deleting: bool
    """Whether it is being deleted."""
    foreign: bool
    """Whether another controller runs it."""
    summary: JobSummary | None = None
    """What gauges show of a TrainingJob."""
    claim: Claim | None = None
    """The hosts that a ModelDeployment has."""
    model: Any = None
    """The validated object, kept while a reconcile is scheduled; None if it must be parsed from the JSON."""

    def load(self) -> Object:
        """Return the object."""
        return dict(orjson.loads(self.json))

    def written(self, version: int, status: Object, model: Any) -> None:
        """Record a written status, so that its event is not a change."""
        obj = self.load() | {"status": status}
        self.json, self.summary, self.claim = orjson.dumps(obj), _summarize(self.kind, obj), _read_claim(self.kind, obj)
        self.version, self.model = max(self.version, version), model


class ResourceCache(Cache[StoredResource]):
    """Resources by key. If an object was recreated, the newer one counts."""

    def __init__(self, changed: Callable[[Key], None]) -> None:
        super().__init__(_read_resource, lambda entry: changed(Key(entry.kind, entry.namespace, entry.name)))
        self._by_key: dict[Key, StoredResource] = {}

    def get(self, key: Key) -> StoredResource | None:
        """Return the resource of a key, or None if it does not exist."""
        return self._by_key.get(key)

    def __iter__(self) -> Iterator[Key]:
        """Iterate over the keys of all current resources."""
        return iter(list(self._by_key))

    def summaries(self) -> Iterator[tuple[Key, JobSummary]]:
        """Yield the summaries of the jobs that this operator runs, those that are known longest first."""
        for key, stored in self._by_key.items():
            if stored.summary and not stored.foreign:
                yield key, stored.summary

    def claims(self) -> Iterator[Claim]:
        """Yield the hosts of all deployments that have some."""
        yield from (stored.claim for stored in self._by_key.values() if stored.claim)

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
        foreign=is_foreign(obj),
        summary=_summarize(kind.kind, obj),
        claim=_read_claim(kind.kind, obj),
    )


def _summarize(kind: str, obj: Object) -> JobSummary | None:
    return summarize_job(obj) if kind == TRAINING_JOB.kind else None


def _read_claim(kind: str, obj: Object) -> Claim | None:
    return read_claim(obj) if kind == MODEL_DEPLOYMENT.kind else None
