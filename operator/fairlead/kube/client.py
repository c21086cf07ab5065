"""A thin Kubernetes client on aiohttp: get, list, watch, server-side apply, patch, delete.

Chosen by measurement over lightkube and kubernetes-asyncio: docs/decisions/0001-kubernetes-client.md.
"""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from fairlead.kube.config import ClusterConfig, load_config
from fairlead.kube.errors import ApiError
from fairlead.kube.kinds import Kind

Object = dict[str, Any]
Objects = list[Object]

FIELD_MANAGER = "fairlead"
_PAGE = 500
_MAX_CONNECTIONS = 32
_WATCH_SECONDS = 290  # below the five minutes after which some load balancers cut idle connections


class KubeClient:
    """Talks to one API server as one identity. Use as an async context manager."""

    def __init__(self, config: ClusterConfig) -> None:
        self.config = config
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_kubeconfig(cls, path: Path | None = None) -> "KubeClient":
        """Make a client for the kubeconfig at `path`, or the one `load_config` finds."""
        return cls(load_config(path))

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=_MAX_CONNECTIONS, ssl=self.config.ssl_context())
        timeout = aiohttp.ClientTimeout(total=30, sock_connect=10)
        self._session = aiohttp.ClientSession(self.config.server, connector=connector, timeout=timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> Object:
        """Return one object; raises ApiError with code 404 when it does not exist."""
        return await self._request("GET", kind.path(namespace, name))

    async def find(self, kind: Kind, name: str, namespace: str | None = None) -> Object | None:
        """Return one object, or None when it does not exist."""
        try:
            return await self.get(kind, name, namespace)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    async def list(
        self, kind: Kind, namespace: str | None = None, labels: str | None = None, fields: str | None = None
    ) -> Objects:
        """Return every object of a kind, page by page, in one namespace or in all."""
        items, _ = await self._list(kind, namespace, labels, fields)
        return items

    async def watch(
        self, kind: Kind, namespace: str | None = None, labels: str | None = None, fields: str | None = None
    ) -> AsyncIterator[tuple[str, Object]]:
        """Yield (ADDED | MODIFIED | DELETED, object) without end: first everything, then every change.

        Reconnects by itself; after a gap it lists again and reports what vanished meanwhile as DELETED.
        Connection errors are raised: the caller decides how long to wait.
        """
        known: dict[str, Object] = {}
        while True:
            items, version = await self._list(kind, namespace, labels, fields)
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
            async for event, item in self._watch_from(kind, namespace, labels, fields, version):
                if event == "DELETED":
                    known.pop(item["metadata"]["uid"], None)
                else:
                    known[item["metadata"]["uid"]] = item
                yield event, item

    async def apply(
        self, kind: Kind, obj: Mapping[str, Any], subresource: str | None = None, force: bool = True
    ) -> Object:
        """Server-side apply: what `obj` names is ours, what it no longer names is removed.

        Without `force` it raises ApiError with code 409 where somebody else set a field to another value.
        """
        meta = obj["metadata"]
        path = kind.path(meta.get("namespace"), meta["name"], subresource)
        params = {"fieldManager": FIELD_MANAGER, "force": str(force).lower()}
        return await self._request("PATCH", path, obj, "application/apply-patch+yaml", params)

    async def create(self, kind: Kind, obj: Mapping[str, Any], namespace: str | None = None) -> Object:
        """Create an object; raises ApiError with code 409 when it exists."""
        path = kind.path(namespace or obj["metadata"].get("namespace"))
        return await self._request("POST", path, obj, params={"fieldManager": FIELD_MANAGER})

    async def replace(self, kind: Kind, obj: Mapping[str, Any]) -> Object:
        """Replace an object; raises ApiError with code 409 when somebody else changed it since it was read."""
        meta = obj["metadata"]
        return await self._request("PUT", kind.path(meta.get("namespace"), meta["name"]), obj)

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
        return await self._request("PATCH", path, body, "application/merge-patch+json")

    async def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str | None = None,
        grace_seconds: int | None = None,
        uid: str | None = None,
    ) -> None:
        """Delete an object and, in the background, what it owns; one that is gone already is no error.

        With `uid` only that very object is deleted: one of the same name made since stays.
        """
        options: Object = {"propagationPolicy": "Background"}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            await self._request("DELETE", kind.path(namespace, name), options)
        except ApiError as error:
            if error.code != 404 and not (uid and error.code == 409):
                raise

    async def _list(
        self, kind: Kind, namespace: str | None, labels: str | None, fields: str | None
    ) -> tuple[Objects, str]:
        params = _selectors(labels, fields) | {"limit": str(_PAGE)}
        items: Objects = []
        while True:
            page = await self._request("GET", kind.path(namespace), params=params)
            items += page["items"]
            if not (token := page["metadata"].get("continue")):
                return items, page["metadata"]["resourceVersion"]
            params["continue"] = token

    async def _watch_from(
        self, kind: Kind, namespace: str | None, labels: str | None, fields: str | None, version: str
    ) -> AsyncIterator[tuple[str, Object]]:
        """Follow changes from a version on, over as many connections as it takes, until the version is too old."""
        while True:
            params = _selectors(labels, fields) | {
                "watch": "true",
                "resourceVersion": version,
                "allowWatchBookmarks": "true",
                "timeoutSeconds": str(_WATCH_SECONDS),
            }
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_WATCH_SECONDS + 30)
            async with self._open("GET", kind.path(namespace), params=params, timeout=timeout) as response:
                if response.status == 410:
                    return
                await _raise_for_status(response)
                async for line in _lines(response):
                    event = json.loads(line)
                    item = event["object"]
                    if event["type"] == "ERROR":
                        # whatever it was, a fresh list is the cure; if the server is ill, that list will say so
                        return
                    version = item["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        yield event["type"], item

    async def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        params: Mapping[str, str] | None = None,
    ) -> Object:
        async with self._open(method, path, body, content_type, params) as response:
            await _raise_for_status(response)
            result: Object = await response.json()
            return result

    def _open(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        params: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> Any:
        if self._session is None:
            raise RuntimeError("KubeClient is used outside `async with`")
        headers = {"Accept": "application/json"}
        if token := self.config.bearer():
            headers["Authorization"] = f"Bearer {token}"
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = content_type
        timeout = timeout or self._session.timeout
        return self._session.request(method, path, data=data, headers=headers, params=params, timeout=timeout)


def _selectors(labels: str | None, fields: str | None) -> dict[str, str]:
    selectors = {"labelSelector": labels, "fieldSelector": fields}
    return {key: value for key, value in selectors.items() if value}


async def _raise_for_status(response: aiohttp.ClientResponse) -> None:
    if response.status < 400:
        return
    text = await response.text()
    try:
        status = json.loads(text)
        raise ApiError(response.status, status.get("reason", ""), status.get("message", text))
    except (json.JSONDecodeError, AttributeError):
        raise ApiError(response.status, response.reason or "", text[:500]) from None


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Yield whole lines; aiohttp's own line reader refuses lines over 64 KiB, which objects can be."""
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield line
