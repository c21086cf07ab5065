"""One HTTP/1.1 connection: requests are whole before they count, and every byte and second is bounded."""

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, cast

from .alarm import Alarm
from .messages import Request, Response, json_response
from .parsing import RequestParser
from .writing import ResponseWriter

if TYPE_CHECKING:
    from .server import Server

_MAX_PIPELINED = 16
_LINGER_SECONDS = 2.0


class Connection(asyncio.Protocol):
    """A client's connection."""

    _transport: asyncio.Transport
    _writer: ResponseWriter

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._limits = server.limits
        self._loop = asyncio.get_running_loop()
        self._parser = RequestParser(server.limits, self, server.guard)
        self.client = ""
        self._alarm = Alarm(self._loop)
        self._task: asyncio.Task[None] | None = None
        self._queue: deque[tuple[Request | Response, int]] = deque()
        """Whole requests, or a final error, with the bytes that are reserved for each."""
        self._last = False
        """Whether the connection is closed after the queue: no more requests are read."""
        self._closing = self._eof = self._expects_continue = self._paused = False
        self._held = 0
        """The bytes that are reserved for bodies."""
        self.active_at = self._loop.time()

    @property
    def idle(self) -> bool:
        """Return True if no whole request is being answered."""
        return self._task is None

    # The transport's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register the connection, or reject it."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by name
        self._writer = ResponseWriter(self._transport, self._server)
        peer = transport.get_extra_info("peername")
        self.client = str(peer[0]) if peer else ""
        if not self._server.register(self):
            self._reject(json_response({"error": f"client {self.client}: too many connections"}, 503))
            return
        self._alarm.set(self._limits.idle_timeout_seconds, self.abort)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Release everything."""
        self._alarm.close()
        self._writer.close()
        self._release(self._held)
        self._server.unregister(self)
        if self._task is not None:
            self._task.cancel()

    def eof_received(self) -> bool:
        """Answer whole requests of a client that closed its side; close otherwise."""
        if self._task is None and not self._last and self._parser.in_request:
            problem = "the connection was closed within a request"
            self._transport.writelines(json_response({"error": problem}, 400).encode(close=True))
        self._last = self._eof = True
        return self._task is not None

    def data_received(self, data: bytes) -> None:
        """Parse; reject what is invalid or over a limit."""
        if self._last:
            return
        self.active_at = self._loop.time()
        busy = self._task is not None
        if not (busy or self._parser.in_request):
            self._time_request()
        keeps_protocol = self._parser.feed(data)
        if self._parser.rejection is not None:
            self._reject(self._parser.rejection)
        elif not keeps_protocol:
            # The request is answered as HTTP/1.1, and nothing after it is read.
            self._last = True
        elif busy or len(self._queue) > 1 or (self._task is not None and self._parser.in_request):
            # Only now: nearly all clients wait for their answer, and changing what is read costs two system calls.
            # One that has sent more than a request gets no second read, whose small bodies count against no limit.
            self._paused = True
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """Bound the time of a response that the client does not read."""
        self._writer.pause()

    def resume_writing(self) -> None:
        """Release a response that was sent."""
        self._writer.resume()
        if self._closing:
            self._alarm.set(_LINGER_SECONDS, self.abort)

    # The parser's callbacks

    def receive_headers(self, expects_continue: bool) -> None:
        """Wait for the body, once the requests before it are answered."""
        self._expects_continue = expects_continue
        if self._task is None:
            self._time_request()

    def receive_request(self, request: Request, reserved: int) -> bool:
        """Queue a whole request; return False if there are too many."""
        self._expects_continue = False
        if len(self._queue) >= _MAX_PIPELINED:
            self._release(reserved)
            self._last = True
            return False
        self._queue.append((request, reserved))
        if self._task is None:
            self._alarm.clear()
            self._task = self._loop.create_task(self._answer_all())
        return True

    def reserve_body(self, count: int) -> bool:
        """Reserve memory for a part of a body; return False if there is none."""
        if not self._server.reserve_body(count):
            return False
        self._held += count
        return True

    # Responses

    async def _answer_all(self) -> None:
        """Answer the queued requests in order."""
        while self._queue:
            item, reserved = self._queue.popleft()
            response, keep_alive, with_body = item, False, True
            if isinstance(item, Request):
                response = await self._server.answer(item)
                keep_alive, with_body = item.keep_alive, item.method != "HEAD"
            assert isinstance(response, Response)
            self._release(reserved)
            del item
            close = not keep_alive or self._server.draining or (self._last and not self._queue)
            await self._writer.write(response, close, with_body)
            if close:
                self._task = None
                self._close()
                return
        self._task = None
        self.active_at = self._loop.time()
        if self._last:
            self._close()
            return
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        if self._parser.in_request:
            self._time_request()
        else:
            self._alarm.set(self._limits.idle_timeout_seconds, self.abort)

    def _release(self, reserved: int) -> None:
        reserved = min(reserved, self._held)  # a lost connection has released everything
        self._server.release(reserved, 0)
        self._held -= reserved

    def _reject(self, response: Response) -> None:
        """Answer after the queued requests, and close; what the client still sends is discarded."""
        if self._last:
            return
        self._last = True
        self._release(self._parser.drop_body())
        if self._task is not None:
            self._queue.append((response, 0))
            return
        self._transport.writelines(response.encode(close=True))
        self._close()

    # Time

    def _time_request(self) -> None:
        """Ask for the rest of the request that is received, and bound its time."""
        if self._expects_continue:
            self._expects_continue = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._parser.in_body:
            self._alarm.set(self._limits.body_timeout_seconds, self._time_out_body)
        else:
            self._alarm.set(self._limits.header_timeout_seconds, self._time_out_headers)

    def _time_out_headers(self) -> None:
        self._time_out("headers", self._limits.header_timeout_seconds)

    def _time_out_body(self) -> None:
        self._time_out("body", self._limits.body_timeout_seconds)

    def _time_out(self, part: str, seconds: float) -> None:
        problem = f"{part}: got an incomplete request within {seconds:g} s, expected all of it"
        self._reject(json_response({"error": problem}, 408))

    # The end

    def _close(self) -> None:
        """Close after what is written was sent; a reset would lose the response of a client that is still sending."""
        self._last = self._closing = True
        self._alarm.clear()
        if not self._writer.blocked:
            self._alarm.set(_LINGER_SECONDS, self.abort)
        if self._eof:
            self._transport.close()
        elif not self._transport.is_closing():
            with contextlib.suppress(OSError):  # the client has reset the connection
                self._transport.write_eof()
            self._transport.resume_reading()

    def close_if_idle(self) -> bool:
        """Close the connection unless a request is being read or answered; return True if it is closed."""
        if self._task is None and not self._parser.in_request:
            self._transport.abort()
            return True
        return False

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()
