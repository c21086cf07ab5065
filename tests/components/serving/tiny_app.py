"""A tiny application on a real server in the test's event loop, and clients that send it bytes."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from fairlead_serving.messages import Request, Response, json_response
from fairlead_serving.server import Server

ADDRESS = "127.0.0.2"
"""Clients connect from 127.0.0.1 unless told otherwise, so that none of them occupies the port of a server."""
TIMEOUT_SECONDS = 30.0


class TinyApp:
    """Repeats each request in its response, but no more than 100 bytes of its body.

    `/wait` waits until `proceed` is set, `/never` waits without end, `/bytes/N` returns N bytes, and `/broken` is an
    error in the program.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.proceed = asyncio.Event()
        self.draining = self.gave_up = False

    async def answer(self, request: Request) -> Response:
        self.requests.append(request)
        if request.path == "/wait":
            await self.proceed.wait()
        elif request.path == "/never":
            await asyncio.Event().wait()
        elif request.path == "/broken":
            raise KeyError("broken")
        elif request.path.startswith("/bytes/"):
            return Response(bytes(int(request.path.removeprefix("/bytes/"))), content_type="application/octet-stream")
        if self.gave_up:
            return json_response({"error": "gave up"}, 503)
        body = request.body[:100].decode("latin-1")
        return json_response({"method": request.method, "path": request.path, "body": body})

    def drain(self) -> None:
        self.draining = True

    def give_up(self) -> None:
        self.gave_up = True
        self.proceed.set()

    async def wait_requests(self, count: int) -> None:
        """Wait until the server has passed on some requests."""
        await wait_until(lambda: len(self.requests) >= count)


@dataclass(frozen=True)
class Received:
    """A response as a client sees it."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def closes(self) -> bool:
        return self.headers.get("connection") == "close"


class Client:
    """One connection to a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, content: bytes) -> None:
        self._writer.write(content)
        with contextlib.suppress(ConnectionError):  # rejected and closed early
            await self._writer.drain()

    def half_close(self) -> None:
        self._writer.write_eof()

    def abort(self) -> None:
        self._writer.transport.abort()

    def is_closed(self) -> bool:
        """Return True if the server has closed the connection; nothing is read."""
        # States of linux/tcp_states.h; the first byte of tcp_info is the state.
        tcp_close, tcp_close_wait = 7, 8
        connection = self._writer.get_extra_info("socket")
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in (tcp_close, tcp_close_wait)

    async def receive(self, *, with_body: bool = True) -> Received:
        """Return the next response."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            head = await self._reader.readuntil(b"\r\n\r\n")
            status, headers = _parse_head(head)
            size = int(headers.get("content-length", "0")) if with_body else 0
            return Received(status, headers, await self._reader.readexactly(size))

    async def read_some(self, count: int) -> bytes:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await self._reader.read(count)

    async def read_until_closed(self) -> bytes:
        """Return what arrives until the server closes the connection, by its end or by a reset."""
        content = bytearray()
        with contextlib.suppress(ConnectionResetError):
            while part := await self.read_some(1 << 20):
                content += part
        return bytes(content)


@dataclass
class Running:
    """A server that listens, and its application."""

    server: Server
    app: TinyApp
    port: int
    task: "asyncio.Task[None]"
    clients: list[Client] = field(default_factory=list)

    async def connect(self, source: str = "127.0.0.1", receive_buffer: int | None = None) -> Client:
        """Open a connection from an address; a small receive buffer lets the server notice a client that is slow."""
        connection = socket.socket()
        connection.setblocking(False)
        if receive_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(connection, (ADDRESS, self.port))
        self.clients.append(Client(*await asyncio.open_connection(sock=connection)))
        return self.clients[-1]

    async def exchange(self, *parts: bytes, half_close: bool = False) -> list[Received]:
        """Send bytes on a connection of their own; return the responses until the server closes it."""
        client = await self.connect()
        for part in parts:
            await client.send(part)
        if half_close:
            client.half_close()
        content = await client.read_until_closed()
        client.abort()
        return list(parse_responses(content))

    async def get(self, path: str = "/") -> Received:
        """Send one request on a connection of its own."""
        (response,) = await self.exchange(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return response


async def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not holds():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.005)


def parse_responses(content: bytes) -> Iterator[Received]:
    """Split a stream of responses."""
    while content:
        head, _, content = content.partition(b"\r\n\r\n")
        status, headers = _parse_head(head)
        size = int(headers.get("content-length", "0"))
        yield Received(status, headers, content[:size])
        content = content[size:]


def find_port() -> int:
    """Return a free port of the servers' address."""
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def is_bound(port: int) -> bool:
    """Return True if a server listens at a port; no connection is opened, which would count as a client's."""
    with socket.socket() as probe:
        try:
            probe.bind((ADDRESS, port))
        except OSError:
            return True
        return False


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    return int(first.split()[1]), {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
