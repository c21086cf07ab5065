"""A thin Kubernetes client on aiohttp: get, list, watch, create, server-side apply, replace, patch, delete.

Chosen by measurement over lightkube and kubernetes-asyncio: docs/decisions/0001-kubernetes-client.md.
"""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from fairlead.kube.config import load_config
from fairlead.kube.errors import ApiError
from fairlead.kube.kinds import Kind
from fairlead.kube.transport import APPLY, JSON, Object, Transport, check_status, iterate_lines

Objects = list[Object]

FIELD_MANAGER = "fairlead"
WATCH_SECONDS = 290.0
"""The duration of a watch request; some load balancers close idle connections after five minutes."""
_SILENCE_SECONDS = 5.0
"""How long after its expected end a watch counts as stalled."""
_PAGE = 500
_METADATA = f"{JSON};as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
_METADATA_LIST = f"{JSON};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


class KubeClient(Transport):
    """A client of one API server with one identity. Use it as an async context manager."""

    @classmethod
    def from_kubeconfig(cls, path: Path) -> "KubeClient":
        """Create a client for the kubeconfig at `path`."""
        return cls(load_config(path))

    async def get(self, kind: Kind, name: str, namespace: str | None = None, metadata_only: bool = False) -> Object:
        """Return an object, or only its metadata; raises ApiError with code 404 when it does not exist."""
        accept = _METADATA if metadata_only else JSON
        return await self.request("GET", kind, kind.path(namespace, name), accept=accept)

    async def find(
        self, kind: Kind, name: str, namespace: str | None = None, metadata_only: bool = False
    ) -> Object | None:
        """Return an object, or None if it does not exist."""
        try:
            return await self.get(kind, name, namespace, metadata_only)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    async def list(
        self, kind: Kind, namespace: str | None = None, labels: str | None = None, fields: str | None = None
    ) -> Objects:
        """Return all objects of a kind, in one namespace or in all of them."""
        items, _ = await self.list_at_version(kind, namespace, labels, fields)
        return items

    async def list_at_version(
        self,
        kind: Kind,
        namespace: str | None = None,
        labels: str | None = None,
        fields: str | None = None,
        metadata_only: bool = False,
    ) -> tuple[Objects, str]:
        """Return all objects of a kind and the resourceVersion of the list."""
        accept = _METADATA_LIST if metadata_only else JSON
        while True:
            params = _selectors(labels, fields) | {"limit": str(_PAGE)}
            items: Objects = []
            try:
                while True:
                    page = await self.request(
                        "GET", kind, kind.path(namespace), params=params, accept=accept, count_as="LIST"
                    )
                    items += page["items"] or ()  # null for an empty list of metadata
                    if not (token := page["metadata"].get("continue")):
                        return items, page["metadata"]["resourceVersion"]
                    params["continue"] = token
            except ApiError as error:
                # the continue token has expired with its resourceVersion: list again
                if error.code != 410 or "continue" not in params:
                    raise

    async def watch(
        self, kind: Kind, namespace: str | None = None, fields: str | None = None
    ) -> AsyncIterator[tuple[str, Object]]:
        """Yield (ADDED | MODIFIED | DELETED, object) indefinitely: first all objects, then every change.

        Reconnects automatically; after a gap it lists again and reports objects deleted in between as DELETED.
        Raises connection errors: the caller decides how long to wait.
        """
        known: dict[str, Object] = {}
        while True:
            items, version = await self.list_at_version(kind, namespace, fields=fields)
            found = {item["metadata"]["uid"]: item for item in items}
            for uid in [uid for uid in known if uid not in found]:
                yield "DELETED", known.pop(uid)
            for uid, item in found.items():
                before = known.get(uid)
                known[uid] = item
                if before is None:
                    yield "ADDED", item
                elif before["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
                    yield "MODIFIED", item
            async for event, item in self.follow(kind, version, namespace, fields=fields):
                if event == "BOOKMARK":
                    continue
                if event == "DELETED":
                    known.pop(item["metadata"]["uid"], None)
                else:
                    known[item["metadata"]["uid"]] = item
                yield event, item

    async def follow(
        self,
        kind: Kind,
        version: str,
        namespace: str | None = None,
        labels: str | None = None,
        fields: str | None = None,
        metadata_only: bool = False,
        seconds: float = WATCH_SECONDS,
    ) -> AsyncIterator[tuple[str, Object]]:
        """Yield (ADDED | MODIFIED | DELETED | BOOKMARK, object) from a version until that version expires.

        Sends requests of `seconds` each; one that is silent for longer has stalled and times out.
        Raises connection errors.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=seconds + _SILENCE_SECONDS)
        accept = _METADATA if metadata_only else JSON
        while True:
            params = _selectors(labels, fields) | {
                "watch": "true",
                "resourceVersion": version,
                "allowWatchBookmarks": "true",
                "timeoutSeconds": str(int(seconds)),
            }
            watching = self.open(
                "GET", kind.path(namespace), params=params, timeout=timeout, accept=accept, stream=True
            )
            async with watching as answer:
                if answer.status == 410:
                    return
                await check_status(answer)
                async for line in iterate_lines(answer):
                    event = orjson.loads(line)
                    item = event["object"]
                    if event["type"] == "ERROR":
                        # a new list recovers from any error; if the server has a problem, that list fails
                        return
                    version = item["metadata"]["resourceVersion"]
                    yield event["type"], item

    async def apply(
        self, kind: Kind, obj: Mapping[str, Any], subresource: str | None = None, metadata_only: bool = False
    ) -> Object:
        """Server-side apply `obj`: fields that it no longer contains are removed. Return it, or only its metadata.

        Raises ApiError with code 409 if `obj` has a uid or resourceVersion that is not the object's.
        """
        meta = obj["metadata"]
        path = kind.path(meta.get("namespace"), meta["name"], subresource)
        params = {"fieldManager": FIELD_MANAGER, "force": "true"}
        accept = _METADATA if metadata_only else JSON
        return await self.request("PATCH", kind, path, obj, APPLY, params, accept)

    async def create(
        self, kind: Kind, obj: Mapping[str, Any], namespace: str | None = None, metadata_only: bool = False
    ) -> Object:
        """Create an object and return it, or only its metadata; raises ApiError with code 409 if it exists."""
        path = kind.path(namespace or obj["metadata"].get("namespace"))
        accept = _METADATA if metadata_only else JSON
        return await self.request("POST", kind, path, obj, params={"fieldManager": FIELD_MANAGER}, accept=accept)

    async def replace(self, kind: Kind, obj: Mapping[str, Any]) -> Object:
        """Replace an object; raises ApiError with code 409 if it changed since it was read."""
        meta = obj["metadata"]
        path = kind.path(meta.get("namespace"), meta["name"])
        return await self.request("PUT", kind, path, obj, params={"fieldManager": FIELD_MANAGER})

    async def patch(
        self,
        kind: Kind,
        name: str,
        body: Mapping[str, Any],
        namespace: str | None = None,
        subresource: str | None = None,
    ) -> Object:
        """Merge-patch an object."""
        path = kind.path(namespace, name, subresource)
        return await self.request("PATCH", kind, path, body, "application/merge-patch+json")

    async def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str | None = None,
        grace_seconds: int | None = None,
        uid: str | None = None,
        version: int | None = None,
    ) -> Object | None:
        """Delete an object and, in the background, its dependents; return it while it terminates, else None.

        With `uid`, an object of the same name created later is not deleted. With `version`, only that resourceVersion
        is; raises ApiError with code 409 if the object is another one.
        """
        options: Object = {"propagationPolicy": "Background"}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        if uid:
            options["preconditions"] = {"uid": uid} | ({"resourceVersion": str(version)} if version else {})
        try:
            answer = await self.request("DELETE", kind, kind.path(namespace, name), options)
        except ApiError as error:
            if error.code != 404 and not (uid and not version and error.code == 409):
                raise
            return None
        return answer if "deletionTimestamp" in answer.get("metadata", {}) else None


def _selectors(labels: str | None, fields: str | None) -> dict[str, str]:
    selectors = {"labelSelector": labels, "fieldSelector": fields}
    return {key: value for key, value in selectors.items() if value}
