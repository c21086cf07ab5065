"""The responses of a connection: bounded in the memory and the time for which a client does not read them."""

import asyncio
import socket
import struct
from typing import Protocol

from .limits import KIB, Limits
from .messages import Response, json_response

_MIN_BYTES_PER_SECOND = 64 * KIB


class ResponseMemory(Protocol):
    """The memory for responses, which all connections share."""

    limits: Limits

    def reserve_response(self, count: int, force: bool = False) -> bool:
        """Reserve memory; return False if there is none."""

    def release(self, body: int, response: int) -> None:
        """Release memory of a body and of a response."""


class ResponseWriter:
    """Writes the responses of one connection."""

    def __init__(self, transport: asyncio.Transport, memory: ResponseMemory) -> None:
        self._transport, self._memory = transport, memory
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._reserved = 0
        self._sent: asyncio.Future[None] | None = None

    @property
    def blocked(self) -> bool:
        """Return True if the client does not keep up with what is written."""
        return self._timer is not None

    async def write(self, response: Response, close: bool, with_body: bool) -> None:
        """Write a response, and wait until most of it is sent."""
        if self._transport.is_closing():
            return
        if not self._memory.reserve_response(len(response.body)):
            response = json_response({"error": "responses that clients do not read use all memory; retry later"}, 503)
            self._memory.reserve_response(len(response.body), force=True)
        self._reserved += len(response.body)
        self._transport.writelines(response.encode(close, with_body))
        if self._timer is None:  # the client keeps up
            self._release()
            return
        self._sent = self._loop.create_future()
        await self._sent

    def pause(self) -> None:
        """Bound the time of a response that the client does not read."""
        if self._timer is None:
            self._watch(self._transport.get_write_buffer_size())

    def resume(self) -> None:
        """Release a response that was sent."""
        self.close()
        if self._sent is not None and not self._sent.done():
            self._sent.set_result(None)

    def close(self) -> None:
        """Release everything."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._release()

    def _release(self) -> None:
        self._memory.release(0, self._reserved)
        self._reserved = 0

    def _watch(self, before: int) -> None:
        """Drop the connection unless enough was sent since the last look."""
        seconds = self._memory.limits.write_timeout_seconds

        def check() -> None:
            left = self._transport.get_write_buffer_size()
            if before - left < _MIN_BYTES_PER_SECOND * seconds:
                self._drop()
            else:
                self._watch(left)

        self._timer = self._loop.call_later(seconds, check)

    def _drop(self) -> None:
        """Close the connection without what was not sent, which the kernel would keep for a client that never reads."""
        connection: socket.socket | None = self._transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
