"""The launcher's HTTP server: signed requests from agents, and the unauthenticated status.

One event loop in a thread of its own. Anyone may connect, so connections, header, body and time are bounded, a body is
read only after its header has been authenticated, and only authenticated clients keep their connection. Of too many
connections the oldest that is not authenticated is closed, so that nobody without the key keeps agents out.
"""

import asyncio
import json
import logging
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fairlead_contracts.environment import MAX_WORKERS
from fairlead_contracts.launcher_status import PATH as STATUS_PATH

from .channel import NONCE, RequestGuard, matches_digest, sign_answer
from .coordinator import Coordinator
from .state import Rejected

log = logging.getLogger("launcher")

_NAME = re.compile("[A-Za-z0-9-]+")
_HEADER_LIMIT, _BODY_LIMIT = 8192, 65536
_TIMEOUT = 5.0
"""Seconds for a client to send its header, to send its body, and to read the answer."""
_IDLE_SECONDS = 60.0
"""Seconds after which a kept connection is closed; longer than the interval between two heartbeats."""
_MAX_CONNECTIONS = 2 * MAX_WORKERS
_STOP_SECONDS = 15.0


class LauncherServer:
    """Serve a coordinator to clients that have the job's key."""

    def __init__(self, address: str, port: int, coordinator: Coordinator, key: bytes) -> None:
        self.key = key
        self.guard = RequestGuard(key)
        self.coordinator = coordinator
        self._routes: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "/v1/register": coordinator.register,
            "/v1/heartbeat": coordinator.heartbeat,
            "/v1/leave": coordinator.leave,
            "/v1/delay": coordinator.delay,
        }
        # The report of a failure waits for the run's result.
        self._waiting = ThreadPoolExecutor(MAX_WORKERS, thread_name_prefix="finish")
        self._connections: set[asyncio.Task[None]] = set()
        self._unauthenticated: dict[asyncio.Task[None], None] = {}
        """The connections that have not sent an authenticated header, the oldest first."""
        self._idle: set[asyncio.Task[None]] = set()
        """The connections that wait for their next request."""
        self._draining = False
        self._warned = 0.0
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, address, port, limit=_HEADER_LIMIT, backlog=MAX_WORKERS)
        )
        self.server_port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, name="server", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Answer the requests in flight and close the server."""
        asyncio.run_coroutine_threadsafe(self._drain(), self._loop).result(2 * _STOP_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._waiting.shutdown()

    async def _drain(self) -> None:
        self._server.close()
        self._draining = True
        for task in self._idle:
            task.cancel()
        if self._connections:
            _, late = await asyncio.wait(self._connections, timeout=_STOP_SECONDS)
            for task in late:
                task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or not self._make_room():
            writer.close()
            return
        self._connections.add(task)
        self._unauthenticated[task] = None
        try:
            await self._serve_requests(task, reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # The client has left, is too slow to be an agent, or the server stops.
        finally:
            self._connections.discard(task)
            self._unauthenticated.pop(task, None)
            writer.close()

    def _make_room(self) -> bool:
        """Return True if one more connection may be served; closes one that is not authenticated if necessary."""
        if len(self._connections) < _MAX_CONNECTIONS:
            return True
        if not self._unauthenticated:
            return False
        oldest = next(iter(self._unauthenticated))
        # it ends in the loop's next round, and must not be counted until then
        self._connections.discard(oldest)
        del self._unauthenticated[oldest]
        oldest.cancel()
        return True

    async def _serve_requests(
        self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        peer, timeout, keep = str(writer.get_extra_info("peername")[0]), _TIMEOUT, True
        while keep:
            async with asyncio.timeout(timeout):
                try:
                    head = await reader.readuntil(b"\r\n\r\n")
                except asyncio.LimitOverrunError:
                    writer.write(_answer(431))
                    return
            self._idle.discard(task)
            answer, keep = await self._handle(head, reader, peer)
            writer.write(answer)
            async with asyncio.timeout(_TIMEOUT):
                await writer.drain()
            keep, timeout = keep and not self._draining, _IDLE_SECONDS
            if keep:
                self._idle.add(task)

    async def _handle(self, head: bytes, reader: asyncio.StreamReader, peer: str) -> tuple[bytes, bool]:
        """Return the answer to a request and whether the connection is kept."""
        try:
            request = _parse(head)
        except ValueError:
            return _answer(400), False
        if request.method == "GET":
            known = request.path == STATUS_PATH
            return (_answer(200, self.coordinator.status()) if known else _answer(404)), False
        if request.method != "POST":
            return _answer(501), False
        length = request.headers.get("Content-Length") or ""
        if not length.isdecimal() or int(length) > _BODY_LIMIT:
            return _answer(413 if length.isdecimal() else 411), False
        return await self._handle_post(request, int(length), reader, peer)

    async def _handle_post(
        self, request: "_Request", length: int, reader: asyncio.StreamReader, peer: str
    ) -> tuple[bytes, bool]:
        body, rejection = b"", self.guard.rejection("POST", request.path, request.headers, time.time())
        if rejection is None:
            if task := asyncio.current_task():
                self._unauthenticated.pop(task, None)
            async with asyncio.timeout(_TIMEOUT):
                body = await reader.readexactly(length)
            rejection = None if matches_digest(body, request.headers) else "the body is not the one that was signed"
        if rejection is not None:
            self._warn(f"rejected request path={request.path[:100]!r} from={peer}: {rejection}")
            return _answer(401), False
        status, document = await self._route(request.path, body, peer)
        content, keep = _encode(document), request.headers.get("Connection") == "keep-alive"
        signature = sign_answer(self.key, request.headers.get(NONCE) or "", status, content)
        return _answer(status, content, signature, keep), keep

    async def _route(self, path: str, body: bytes, peer: str) -> tuple[int, dict[str, Any]]:
        try:
            message = json.loads(body)
            if not isinstance(message, dict):
                raise ValueError("expected an object")
            message["peer"] = peer
            if path == "/v1/finish":
                return 200, await self._loop.run_in_executor(self._waiting, self.coordinator.finish, message)
            route = self._routes.get(path)
            return (404, {"error": "path not found"}) if route is None else (200, route(message))
        except (ValueError, RecursionError) as error:
            return 400, {"error": f"the body is not a JSON object: {error}"}
        except KeyError as error:
            return 400, {"error": f"{error.args[0]}: missing"}
        except Rejected as error:
            self._warn(f"rejected path={path}: {error}")
            return 409, {"error": str(error)}

    def _warn(self, text: str) -> None:
        """Log a rejection, at most one a second: anyone can cause them."""
        if time.monotonic() - self._warned >= 1:
            self._warned = time.monotonic()
            log.warning("%s", text)


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    headers: dict[str, str]
    """By name in title case."""


def _parse(head: bytes) -> _Request:
    line, _, rest = head.partition(b"\r\n")
    method, path, version = line.decode("ascii").split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(f"version: got {version!r}, expected HTTP/1.1")
    headers: dict[str, str] = {}
    for field in rest.decode("latin-1").split("\r\n")[:-2]:
        name, separator, value = field.partition(":")
        name = name.title()
        if not separator or name in headers or name == "Transfer-Encoding" or not _NAME.fullmatch(name):
            raise ValueError("headers: expected each name once, and no Transfer-Encoding")
        headers[name] = value.strip(" \t")
    return _Request(method, path, headers)


def _answer(
    status: int, content: dict[str, Any] | bytes = b"", headers: dict[str, str] | None = None, keep: bool = False
) -> bytes:
    content = content if isinstance(content, bytes) else _encode(content)
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        f"Connection: {'keep-alive' if keep else 'close'}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content


def _encode(document: dict[str, Any]) -> bytes:
    return json.dumps(document, allow_nan=False).encode()
