"""Execution of plans. The response to each write is cached, so that the next plan sees it."""

import asyncio
from collections.abc import Awaitable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import aiohttp

from fairlead.api.base import Resource, StatusModel
from fairlead.core import names
from fairlead.core.children import Object
from fairlead.core.plan import Deletion, Event, Patch, Plan
from fairlead.kube.children import ChildCache, controller_of
from fairlead.kube.client import KubeClient
from fairlead.kube.errors import KIND_MISSING, NAME_TAKEN, ApiError, StatusConflict
from fairlead.kube.events import send_event
from fairlead.kube.kinds import (
    AUTOSCALER,
    CONFIG_MAP,
    CONTROLLER_REVISION,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    NETWORK_POLICY,
    POD,
    POD_GROUP,
    ROUTES,
    SECRET,
    SELDON_DEPLOYMENT,
    SERVICE,
    TRAINING_JOB,
    Key,
    Kind,
)
from fairlead.kube.resources import StoredResource

CHILD_KINDS = {
    kind.kind: kind
    for kind in (
        POD, SERVICE, SECRET, CONFIG_MAP, DEPLOYMENT, CONTROLLER_REVISION, AUTOSCALER, DISRUPTION_BUDGET,
        NETWORK_POLICY, POD_GROUP, SELDON_DEPLOYMENT, TRAINING_JOB, *ROUTES,
    )
}  # fmt: skip
_NOT_WATCHED = (SECRET, NETWORK_POLICY, POD_GROUP)
_OPTIONAL = (POD_GROUP, SELDON_DEPLOYMENT, *ROUTES)
"""Kinds that not every cluster has."""
_STARTED_LAST = ("Pod", "Deployment", "SeldonDeployment")
"""Written last, because a pod must not start with a key or graph that belongs to another object."""

_MAX_UNSENT = 10
"""Events that are kept for a resource while none can be sent."""
_MAX_WRITES = 10
"""Writes of children at a time; fewer than the client's connections, so that statuses and audits find one."""


@dataclass(frozen=True)
class Writer:
    """Writes to the API server and to the cache."""

    kube: KubeClient
    children: ChildCache
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MAX_WRITES))
    """Over all plans: a request that waits for a connection would use up its time there."""
    _unsent: dict[Key, tuple[Event, ...]] = field(default_factory=dict)

    async def execute(self, stored: StoredResource, resource: Resource, kind: Kind, plan: Plan) -> int:
        """Delete, create or apply, send the events, write the status if it changed, then do what comes after it.

        An expired resource is deleted last.

        Events precede the status, from which the next plan derives that they were sent: a crash in between repeats
        them. An event that cannot be sent is kept for the next call and does not hold up the status. Returns the
        number of writes. If writes fail, raises the first error of the step after all its writes have finished.
        """
        namespace = resource.metadata.namespace
        await self._run_all(self._delete(deletion, namespace) for deletion in plan.delete)
        first = [child for child in plan.apply if child["kind"] not in _STARTED_LAST]
        last = [child for child in plan.apply if child["kind"] in _STARTED_LAST]
        for step in (first, last):
            await self._run_all(self._write_child(resource, child) for child in step)
        unsent = await self._send_events(resource, kind, plan)
        written = await self.write_status(kind, stored, resource.status, plan.status)
        await self._run_all(self._patch(patch, namespace) for patch in plan.patches)
        await self._run_all(self._delete(deletion, namespace) for deletion in plan.delete_counted)
        await self._run_all(self._write_child(resource, child) for child in plan.apply_last)
        if unsent:
            raise unsent
        if plan.expired:
            await self._delete_expired(kind, stored)
        deleted, applied = len(plan.delete) + len(plan.delete_counted), len(plan.apply) + len(plan.apply_last)
        return deleted + applied + len(plan.patches) + written + len(plan.events) + plan.expired

    def forget(self, key: Key) -> None:
        """Drop the unsent events of a deleted resource."""
        self._unsent.pop(key, None)

    async def _send_events(self, resource: Resource, kind: Kind, plan: Plan) -> Exception | None:
        """Send the events of a plan and unsent earlier ones; keep those that fail and return the last error."""
        key = Key(kind.kind, resource.metadata.namespace, resource.metadata.name)
        known = self._unsent.pop(key, ())
        failed: list[Event] = []
        problem: Exception | None = None
        for event in (*known, *(event for event in plan.events if event not in known)):
            try:
                await send_event(self.kube, resource, kind, event)
            except (ApiError, aiohttp.ClientError, TimeoutError) as error:
                failed.append(event)
                problem = error
        if failed:
            self._unsent[key] = tuple(failed[-_MAX_UNSENT:])
        return problem

    async def write_status(self, kind: Kind, stored: StoredResource, before: StatusModel, status: StatusModel) -> bool:
        """Write a status if it changed; return whether it was written.

        Raises StatusConflict if the resource has changed since the status was derived.
        """
        if status == before:
            return False
        meta = {"name": stored.name, "namespace": stored.namespace}
        meta |= {"uid": stored.uid, "resourceVersion": str(stored.version)}
        body: Object = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": meta,
            "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        with _conflicts():
            answer = await self.kube.apply(kind, body, "status", metadata_only=True)
        model = stored.model.model_copy(update={"status": status}) if stored.model else None
        stored.written(int(answer["metadata"]["resourceVersion"]), body["status"], model)
        return True

    async def _run_all(self, writes: Iterable[Awaitable[None]]) -> None:
        """Run independent writes concurrently; raises the first error after all have finished."""

        async def run(write: Awaitable[None]) -> None:
            async with self._slots:
                await write

        for outcome in await asyncio.gather(*map(run, writes), return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _delete_expired(self, kind: Kind, stored: StoredResource) -> None:
        """Delete a resource; raises StatusConflict if it has changed, perhaps so that it is to be kept."""
        with _conflicts():
            await self.kube.delete(kind, stored.name, stored.namespace, uid=stored.uid, version=stored.version)

    async def _delete(self, deletion: Deletion, namespace: str) -> None:
        kind = CHILD_KINDS[deletion.kind]
        terminating = await self.kube.delete(kind, deletion.name, namespace, uid=deletion.uid)
        if terminating:
            self.children.put(kind, terminating, own=True)

    async def _patch(self, patch: Patch, namespace: str) -> None:
        """Patch a child, unless it is gone, or another one has its name."""
        kind, body = CHILD_KINDS[patch.kind], {**patch.body, "metadata": {"uid": patch.uid}}
        try:
            self.children.put(kind, await self.kube.patch(kind, patch.name, body, namespace), own=True)
        except ApiError as error:
            if error.code != 404 and error.reason != "Conflict":
                raise

    async def _write_child(self, resource: Resource, child: Object) -> None:
        """Write a child: apply it if it has a hash annotation, which means that it may change, else create it."""
        kind = CHILD_KINDS[child["kind"]]
        changes = names.APPLIED_HASH in child["metadata"].get("annotations", {})
        try:
            written = await (self._apply(resource, kind, child) if changes else self._create(resource, kind, child))
        except ApiError as error:
            error.child = kind.kind
            raise
        if kind not in _NOT_WATCHED:
            self.children.put(kind, written, own=True)

    async def _create(self, resource: Resource, kind: Kind, child: Object) -> Object:
        """Create an immutable child; one that exists is accepted if we own it."""
        try:
            # Nothing but metadata is needed of most children that were just created. A pod has a status from the start,
            # such as a scheduling gate's, and a job has a policy; the event with them is of the same version, which is
            # known then.
            whole = kind in (POD, CONTROLLER_REVISION, TRAINING_JOB)
            return await self.kube.create(kind, child, metadata_only=not whole)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            existing = await self._find_ours(resource, kind, child)
            if existing is None:
                raise  # it was deleted in the meantime: retry
            return existing

    async def _apply(self, resource: Resource, kind: Kind, child: Object) -> Object:
        """Apply a child. Check its owner first, because an apply would adopt an existing object of that name."""
        meta = child["metadata"]
        owned = self.children.owned_by(resource.metadata.uid)
        uid = next((known.uid for known in owned if (known.kind, known.name) == (kind.kind, meta["name"])), None)
        if uid is None and (existing := await self._find_ours(resource, kind, child)):
            uid = existing["metadata"]["uid"]
        if uid:
            child = child | {"metadata": meta | {"uid": uid}}
        try:
            return await self.kube.apply(kind, child)
        except ApiError as error:
            if error.code == 404 and kind in _OPTIONAL:
                message = (
                    f"the cluster has no {kind.kind} of {kind.api_version}: expected its definition to be installed"
                )
                raise ApiError(404, KIND_MISSING, message) from error
            raise

    async def _find_ours(self, resource: Resource, kind: Kind, child: Object) -> Object | None:
        """Return the existing object of a child's name; raises NAME_TAKEN if its controller is not the resource."""
        meta = child["metadata"]
        existing = await self.kube.find(kind, meta["name"], meta["namespace"], metadata_only=kind in _NOT_WATCHED)
        if existing and controller_of(existing["metadata"]).get("uid") != resource.metadata.uid:
            message = f"{kind.kind} {meta['name']} exists and has another owner; expected the name to be free"
            raise ApiError(409, NAME_TAKEN, message)
        return existing


@contextmanager
def _conflicts() -> Iterator[None]:
    """Raise StatusConflict for a request that names a version of the resource which is not its current one."""
    try:
        yield
    except ApiError as error:
        if error.reason == "Conflict":
            raise StatusConflict(error.code, error.reason, error.message) from error
        raise
