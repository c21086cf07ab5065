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
        buffer = self._buffer
        source: bytes | bytearray = data
        if buffer:
            buffer += data
            source = buffer
        used = 0
        with memoryview(source) as view:
            while (end := _find_end(view, used)) is not None:
                start = used + _LENGTHS.size
                body = start + _LENGTHS.unpack_from(view, used)[0]
                used = end
                self._receive(orjson.loads(view[start:body]), bytes(view[body:end]))
        if source is buffer:
            del buffer[:used]
        elif used < len(data):
            buffer += data[used:]

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


def _find_end(view: memoryview, start: int) -> int | None:
    """Return where the frame that begins at `start` ends, or None if it is not whole; raise FrameError."""
    if len(view) - start < _LENGTHS.size:
        return None
    head, body = _LENGTHS.unpack_from(view, start)
    if head + body > _MAX_BYTES:
        raise FrameError(f"got a frame of {head} + {body} bytes, expected at most {_MAX_BYTES}")
    end = start + _LENGTHS.size + int(head) + int(body)
    return end if end <= len(view) else None


def _receive_exactly(connection: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = connection.recv(min(count - len(parts), 1 << 20))
        if not part:
            raise FrameError("the other process is gone")
        parts += part
    return bytes(parts)
