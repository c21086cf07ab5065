"""A proxy between the operator and the API server that injects faults into one namespace's writes and watches."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from fairlead.kube.config import ClusterConfig

from tests.chaos.operator.faults import Fault
from tests.chaos.operator.graph_servers import Execute

_LATE_SECONDS = 3.0
_HOP_HEADERS = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding"}
_STATUSES = {"conflict": (409, "Conflict"), "too-many": (429, "TooManyRequests"), "error": (500, "InternalError"),
             "unavailable": (503, "ServiceUnavailable")}  # fmt: skip


@dataclass
class Injection:
    """A fault for one namespace, and what passed through the proxy for it."""

    fault: Fault
    crash: Callable[[], None] = lambda: None
    """Kills the operator and starts another."""
    writes: list[str] = field(default_factory=list)
    events: int = 0
    hits: int = 0
    """How often the fault happened."""
    held: bytes | None = None
    """An event that is delivered after the next one."""
    armed: bool = True
    """Whether the fault happens; a life may prepare something before."""

    def arm(self) -> None:
        """Begin to count, and let the fault happen from now on."""
        self.writes.clear()
        self.events, self.armed = 0, True


class FaultProxy:
    """Serves on a loopback port and forwards to an API server. Use as an async context manager."""

    def __init__(self, config: ClusterConfig) -> None:
        self._config = config
        self.injections: dict[str, Injection] = {}
        """By namespace; requests of other namespaces pass unchanged."""
        self.port = 0
        self.begun: list[str] = []
        """All writes whose headers have arrived, except of leases."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "FaultProxy":
        connector = aiohttp.TCPConnector(limit=0, ssl=self._config.ssl_context())
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        self._upstream = aiohttp.ClientSession(self._config.server, connector=connector, timeout=timeout)
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        # a watch lasts minutes: end it with the proxy
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._upstream.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.method != "GET" and "/leases" not in request.path:
            self.begun.append(f"{request.method} {request.path}")
        body = await request.read()
        if request.query.get("watch") == "true":
            return await self._watch(request)
        if request.method == "GET":
            return await self._forward(request, body)
        parts = request.path.split("/")
        namespace = parts[parts.index("namespaces") + 1] if "namespaces" in parts else ""
        if "leases" in parts:
            return await self._forward(request, body)
        what = f"{request.method} {'/'.join(parts[parts.index('namespaces') + 2 :])}" if namespace else ""
        return await self.disturb(request, namespace, what, lambda: self._forward(request, body))

    async def disturb(self, request: web.Request, namespace: str, what: str, execute: Execute) -> web.StreamResponse:
        """Execute a write for a namespace, unless it is the one that its fault hits."""
        injection = self.injections.get(namespace)
        if injection is None:
            return await execute()
        index = len(injection.writes)
        injection.writes.append(what)
        if injection.armed and injection.fault.on_write and injection.fault.at == index:
            injection.hits += 1
            return await self._fail(request, execute, injection)
        return await execute()

    async def _fail(self, request: web.Request, execute: Execute, injection: Injection) -> web.StreamResponse:
        kind = injection.fault.kind
        if kind in _STATUSES:
            return _status(*_STATUSES[kind])
        if kind == "late":
            task = asyncio.create_task(_execute_late(execute))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if kind in ("kill-after", "error-after", "reset-after"):
            await execute()
        if kind in ("kill-before", "kill-after"):
            injection.crash()
        if kind == "error-after":
            return _status(500, "InternalError")
        if request.transport:
            request.transport.abort()
        return web.Response()

    def _send(self, request: web.Request, body: bytes) -> "aiohttp.client._RequestContextManager":
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_HEADERS}
        return self._upstream.request(request.method, request.raw_path, headers=headers, data=body or None)

    async def _forward(self, request: web.Request, body: bytes) -> web.Response:
        async with self._send(request, body) as answer:
            content = await answer.read()
            headers = {name: answer.headers[name] for name in ("Retry-After",) if name in answer.headers}
            return web.Response(
                status=answer.status, body=content, content_type=answer.content_type or "application/json",
                headers=headers,
            )  # fmt: skip

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        async with self._send(request, b"") as answer:
            if answer.status != 200:
                return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            stalled = False
            # the operator, or the proxy, ends a watch at any time
            with suppress(ConnectionError, aiohttp.ClientError):
                await response.prepare(request)
                rest = b""
                async for chunk in answer.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        delivered, stalls = self._deliver(line)
                        stalled = stalled or stalls
                        if not stalled and delivered:
                            await response.write(b"".join(event + b"\n" for event in delivered))
                if stalled:  # the API server has ended the watch, which a stalled connection would not tell
                    await asyncio.Event().wait()
            return response

    def _deliver(self, line: bytes) -> tuple[list[bytes], bool]:
        """Return what to deliver for an event, and whether its watch stalls from now on."""
        event = json.loads(line)
        injection = self.injections.get(event["object"].get("metadata", {}).get("namespace", ""))
        if injection is None or event["type"] in ("BOOKMARK", "ERROR"):
            return [line], False
        index, fault = injection.events, injection.fault
        injection.events += 1
        held, injection.held = injection.held, None
        delivered = [line] if held is None else [line, held]
        if fault.on_write or fault.kind == "none" or fault.at != index or not injection.armed:
            return delivered, False
        injection.hits += 1
        if fault.kind == "swapped":
            injection.held = line
            return [], False
        return {"lost": [], "doubled": [line, line]}.get(fault.kind, delivered), fault.kind == "stalled"


async def _execute_late(execute: Execute) -> None:
    await asyncio.sleep(_LATE_SECONDS)
    await execute()


def _status(code: int, reason: str) -> web.Response:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code,
            "message": f"injected: {reason}"}  # fmt: skip
    headers = {"Retry-After": "1"} if code == 429 else {}
    return web.json_response(body, status=code, headers=headers)
