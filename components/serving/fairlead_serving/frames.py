"""Frames between the HTTP process and the model process: a JSON head and a body of bytes, over a socket pair.

Both processes are one program that trust each other's frames; the lengths are checked against corruption only.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any, cast

import orjson

_LENGTHS = struct.Struct("!II")
_MAX_BYTES = 2**31


class FrameError(Exception):
    """The other process sent something that is not a frame."""


class FrameStream(asyncio.Protocol):
    """Sends frames, and passes received ones to a function."""

    def __init__(self, receive: Callable[[dict[str, Any], bytes], None], lost: Callable[[], None]) -> None:
        self._receive = receive
        self._lost = lost
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by name

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Report that the other process is gone."""
        self._transport = None
        self._lost()

    def data_received(self, data: bytes) -> None:
        """Pass on each whole frame."""
        self._buffer += data
        while (frame := _take(self._buffer)) is not None:
            self._receive(*frame)

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        """Send a frame; nothing happens if the other process is gone."""
        if self._transport is not None:
            text = orjson.dumps(head)
            start = _LENGTHS.pack(len(text), len(body)) + text
            self._transport.writelines([start, body] if body else [start])

    def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.abort()


def send_frame(connection: socket.socket, head: dict[str, Any], body: bytes = b"") -> None:
    """Send a frame before an event loop runs; block until it is sent."""
    text = orjson.dumps(head)
    connection.sendall(_LENGTHS.pack(len(text), len(body)) + text)
    connection.sendall(body)


def receive_frame(connection: socket.socket) -> tuple[dict[str, Any], bytes]:
    """Receive one frame before an event loop runs; raise FrameError at the end of the stream."""
    head, body = _LENGTHS.unpack(_receive_exactly(connection, _LENGTHS.size))
    return orjson.loads(_receive_exactly(connection, head)), _receive_exactly(connection, body)


def _take(buffer: bytearray) -> tuple[dict[str, Any], bytes] | None:
    if len(buffer) < _LENGTHS.size:
        return None
    head, body = _LENGTHS.unpack_from(buffer)
    if head + body > _MAX_BYTES:
        raise FrameError(f"got a frame of {head} + {body} bytes, expected at most {_MAX_BYTES}")
    start = _LENGTHS.size + head
    if len(buffer) < start + body:
        return None
    with memoryview(buffer) as view:
        frame = orjson.loads(view[_LENGTHS.size : start]), bytes(view[start : start + body])
    del buffer[: start + body]
    return frame


def _receive_exactly(connection: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = connection.recv(min(count - len(parts), 1 << 20))
        if not part:
            raise FrameError("the other process is gone")
        parts += part
    return bytes(parts)
