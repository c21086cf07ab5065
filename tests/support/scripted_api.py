"""A scripted API server: lists in sequence, and watches that end, hang or return errors."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from fairlead.kube.client import KubeClient
from fairlead.kube.config import ClusterConfig

Object = dict[str, Any]
HANG = "hang"
"""Keeps the watch open without events."""
DROP = "drop"
"""Drops the connection."""


@dataclass
class ScriptedApi:
    """Responds to each list and watch request with the next entry of its script; the last one is repeated."""

    lists: list[web.Response | Object] = field(default_factory=list)
    watches: list[list[Object | str] | web.Response] = field(default_factory=list)
    writes: list[web.Response | Object | str] = field(default_factory=list)
    """Responses to requests other than GET."""
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """(method, path, query) of all requests."""

    accepted: list[str] = field(default_factory=list)
    """What requests other than GET accept."""
    bodies: list[Object] = field(default_factory=list)
    """Bodies of requests other than GET."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Ends hanging watches."""

    def asked(self, watch: bool) -> list[dict[str, str]]:
        """Return the queries of the lists or of the watches."""
        return [query for method, _, query in self.requests if method == "GET" and ("watch" in query) == watch]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Respond with the next entry."""
        query = dict(request.query)
        self.requests.append((request.method, request.path, query))
        if request.method != "GET":
            self.accepted.append(request.headers.get("Accept", ""))
            self.bodies.append(await request.json())
            return await self._respond(request, _next(self.writes))
        if "watch" in query:
            return await self._watch(request, _next(self.watches))
        return await self._respond(request, _next(self.lists))

    async def _respond(self, request: web.Request, entry: Any) -> web.StreamResponse:
        if entry == DROP:
            _break_connection(request)
            return web.Response()
        # a response object can be sent only once
        return _copy(entry) if isinstance(entry, web.Response) else web.json_response(entry)

    async def _watch(self, request: web.Request, script: Any) -> web.StreamResponse:
        if isinstance(script, web.Response):
            return _copy(script)
        response = web.StreamResponse()
        await response.prepare(request)
        for step in script:
            if step == HANG:
                await self.over.wait()
            elif step == DROP:
                _break_connection(request)
                return response
            else:
                await response.write(json.dumps(step).encode() + b"\n")
        return response


def _next(script: list[Any]) -> Any:
    return script.pop(0) if len(script) > 1 else script[0]


def _copy(response: web.Response) -> web.Response:
    headers = {name: value for name, value in response.headers.items() if name == "Retry-After"}
    return web.Response(status=response.status, body=response.body, headers=headers)


def _break_connection(request: web.Request) -> None:
    if request.transport:
        request.transport.abort()


@asynccontextmanager
async def served(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[ClusterConfig]:
    """Serve an API server's imitation on loopback; yield how to connect to it."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield ClusterConfig(server, "default", None, None, None, None, None, False)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def scripted_client(api: ScriptedApi) -> AsyncIterator[KubeClient]:
    """Serve the script and connect a client to it."""
    async with served(api.answer) as config:
        try:
            async with KubeClient(config) as kube:
                yield kube
        finally:
            api.over.set()


def make_list(version: int, *items: Object, token: str = "") -> Object:
    """Return a list as the API server returns it."""
    return {"items": list(items), "metadata": {"resourceVersion": str(version), "continue": token}}


def make_pod(name: str, version: int, phase: str = "Pending", owner: str = "job-uid", **meta: Any) -> Object:
    """Return a pod of the job `digits`, owned by `owner`; an orphan if it is None."""
    labels = {
        "app.kubernetes.io/managed-by": "fairlead", "fairlead.dev/job": "digits", "fairlead.dev/role": "worker",
    }  # fmt: skip
    reference = {
        "apiVersion": "fairlead.dev/v1alpha1", "kind": "TrainingJob", "name": "digits", "uid": owner,
        "controller": True,
    }  # fmt: skip
    metadata = {
        "name": name, "namespace": "default", "uid": f"uid-{name}", "resourceVersion": str(version), "labels": labels,
        "ownerReferences": [reference] if owner else [],
    }  # fmt: skip
    return {"metadata": metadata | meta, "status": {"phase": phase}}


def event(type_: str, obj: Object) -> Object:
    """Return a watch event."""
    return {"type": type_, "object": obj}


def bookmark(version: int) -> Object:
    """Return a bookmark."""
    return event("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})


def status(code: int, reason: str, **headers: str) -> web.Response:
    """Return an error as the API server returns it."""
    body = {"kind": "Status", "code": code, "reason": reason, "message": reason}
    return web.json_response(body, status=code, headers={name.replace("_", "-"): v for name, v in headers.items()})
