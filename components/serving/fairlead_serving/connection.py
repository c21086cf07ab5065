"""One HTTP/1.1 connection: requests are whole before they count, and every byte and second is bounded.

Node's parser (httptools) does the syntax. It rejects two lengths, a length next to Transfer-Encoding, and other means
of request smuggling.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import httptools

from .limits import KIB
from .messages import Request, Response, decode_path, json_response

if TYPE_CHECKING:
    from .server import Server

FREE_BYTES = 64 * KIB
"""Each body's first bytes do not count against the limit for all bodies, so that small requests always get through."""
_MIN_RATE = 64 * KIB
_MAX_PIPELINED = 16
_LINGER_SECONDS = 2.0


class Connection(asyncio.Protocol):
    """A client's connection."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._limits = server.limits
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self.client = ""
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._queue: deque[tuple[Request | Response, int]] = deque()
        """Whole requests, or a final error, with the bytes that are reserved for each."""
        self._last = False
        """Whether the connection is closed after the queue: no more requests are read."""
        self._closing = self._registered = self._eof = False
        self._held = self._unsent = 0
        self._sent: asyncio.Future[None] | None = None
        self.active_at = self._loop.time()
        self._reset()

    def _reset(self) -> None:
        self._fed = 0
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._in_body = False
        self._body: list[bytes] = []
        self._size = self._reserved = 0
        self._fault: Response | None = None

    @property
    def idle(self) -> bool:
        """Return True if no whole request is being answered."""
        return self._task is None

    # The transport's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register the connection, or reject it."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by name
        peer = transport.get_extra_info("peername")
        self.client = str(peer[0]) if peer else ""
        self._registered = self._server.register(self, self.client)
        if not self._registered:
            self._refuse(json_response({"error": f"client {self.client}: too many connections"}, 503))
            return
        self._set_timer(self._limits.idle_timeout_seconds, self.abort)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Release everything."""
        for timer in (self._timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self._server.release(self._held, self._unsent)
        self._held = self._unsent = 0
        if self._registered:
            self._server.unregister(self, self.client)
        if self._task is not None:
            self._task.cancel()

    def eof_received(self) -> bool:
        """Answer whole requests of a client that closed its side; close otherwise."""
        if self._task is None and not self._last and (self._fed or self._in_body):
            problem = "the connection was closed within a request"
            self._transport.writelines(json_response({"error": problem}, 400).encode(close=True))
        self._last = self._eof = True
        return self._task is not None

    def data_received(self, data: bytes) -> None:
        """Parse; reject what is invalid or over a limit."""
        if self._last:
            return
        self.active_at = self._loop.time()
        if not self._fed and not self._in_body and self._task is None:
            self._set_timer(self._limits.header_timeout_seconds, self._time_out, "headers")
        if not self._in_body:
            self._fed += len(data)
        upgrade = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            upgrade = True
        except httptools.HttpParserError as error:
            self._fault = self._fault or json_response({"error": f"invalid HTTP: {error}"}, 400)
        if not self._fault and not self._in_body and self._fed > self._limits.max_header_bytes:
            self._fail_headers()
        if self._fault is not None:
            self._refuse(self._fault)
        elif upgrade:
            # The request is answered as HTTP/1.1, and nothing after it is read.
            self._last = True
        elif self._task is not None:
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """Bound the time of an answer that the client does not read."""
        if self._write_timer is None:
            self._watch_writing(self._transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Release an answer that was sent."""
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        self._server.release(0, self._unsent)
        self._unsent = 0
        if self._sent is not None and not self._sent.done():
            self._sent.set_result(None)
        if self._closing:
            self._set_timer(_LINGER_SECONDS, self.abort)

    # The parser's callbacks

    def on_url(self, url: bytes) -> None:
        """Collect the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header; trailers are ignored."""
        if not self._in_body:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Check the headers; wait for the body."""
        self._in_body = True
        if self._fault is not None or self._last:
            return
        values = dict(self._headers)
        size = len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers)
        hosts = sum(name == b"host" for name, _ in self._headers)
        if size > self._limits.max_header_bytes:
            self._fail_headers()
        elif hosts > 1 or (hosts == 0 and self._parser.get_http_version() != "1.0"):
            self._fail(400, f"header Host: got {hosts} of them, expected one")
        elif values.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
            self._fail(400, f"header Transfer-Encoding: got {_text(values[b'transfer-encoding'])}, expected chunked")
        elif int(values.get(b"content-length", b"0")) > self._limits.max_body_bytes:
            self._fail_size(f"{int(values[b'content-length'])}")
        elif values.get(b"expect", b"").lower() == b"100-continue" and self._task is None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._task is None:
            self._set_timer(self._limits.body_timeout_seconds, self._time_out, "body")

    def on_body(self, body: bytes) -> None:
        """Collect a part of the body."""
        if self._fault is not None or self._last:
            return
        self._size += len(body)
        if self._size > self._limits.max_body_bytes:
            self._fail_size(f"more than {self._limits.max_body_bytes}")
            return
        more = max(self._size - FREE_BYTES, 0) - self._reserved
        if more > 0 and not self._server.reserve_body(more):
            self._fail(503, "the bodies of other requests use all memory for bodies; retry later")
            return
        self._reserved += max(more, 0)
        self._held += max(more, 0)
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Queue a whole request."""
        if self._fault is not None or self._last:
            return
        keep_alive = self._parser.should_keep_alive() and self._parser.get_http_version() == "1.1"
        method, path = self._parser.get_method().decode("latin-1"), decode_path(self._url)
        body = b"".join(self._body) if len(self._body) != 1 else self._body[0]
        request, reserved = Request(method, path, self._headers, body, keep_alive), self._reserved
        self._reset()
        if len(self._queue) >= _MAX_PIPELINED:
            self._release(reserved)
            self._last = True
            return
        self._queue.append((request, reserved))
        if self._task is None:
            self._cancel_timer()
            self._task = self._loop.create_task(self._answer_all())

    # Answers

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
            await self._write(response, close, with_body)
            if close:
                self._task = None
                self._close()
                return
        self._task = None
        self.active_at = self._loop.time()
        if self._last:
            self._close()
            return
        self._transport.resume_reading()
        if self._fed or self._in_body:
            self._set_timer(self._limits.header_timeout_seconds, self._time_out, "request")
        else:
            self._set_timer(self._limits.idle_timeout_seconds, self.abort)

    def _release(self, reserved: int) -> None:
        reserved = min(reserved, self._held)  # a lost connection has released everything
        self._server.release(reserved, 0)
        self._held -= reserved

    async def _write(self, response: Response, close: bool, with_body: bool) -> None:
        """Write a response, and wait until most of it is sent."""
        if self._transport.is_closing():
            return
        if not self._server.reserve_answer(len(response.body)):
            response = json_response({"error": "answers that clients do not read use all memory; retry later"}, 503)
            self._server.reserve_answer(len(response.body), force=True)
        self._unsent += len(response.body)
        self._transport.writelines(response.encode(close, with_body))
        if self._write_timer is None:  # the client keeps up
            self.resume_writing()
            return
        self._sent = self._loop.create_future()
        await self._sent

    def _refuse(self, response: Response) -> None:
        """Answer after the queued requests, and close; what the client still sends is discarded."""
        if self._last:
            return
        self._last = True
        if self._task is not None:
            self._queue.append((response, 0))
            return
        self._transport.writelines(response.encode(close=True))
        self._close()

    def _fail(self, status: int, problem: str) -> None:
        self._fault = self._fault or json_response({"error": problem}, status)

    def _fail_headers(self) -> None:
        self._fail(431, f"headers: got more bytes, expected at most {self._limits.max_header_bytes}")

    def _fail_size(self, got: str) -> None:
        self._fail(413, f"body: got {got} bytes, expected at most {self._limits.max_body_bytes}")

    # Time

    def _set_timer(self, seconds: float, action: Callable[..., object], *arguments: object) -> None:
        self._cancel_timer()
        self._timer = self._loop.call_later(seconds, action, *arguments)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self, part: str) -> None:
        seconds = self._limits.body_timeout_seconds if self._in_body else self._limits.header_timeout_seconds
        problem = f"{part}: got an incomplete request within {seconds:g} s, expected all of it"
        self._refuse(json_response({"error": problem}, 408))

    def _watch_writing(self, before: int) -> None:
        """Abort the connection unless enough was sent since the last look."""
        seconds = self._limits.write_timeout_seconds

        def check() -> None:
            left = self._transport.get_write_buffer_size()
            if before - left < _MIN_RATE * seconds:
                self._drop()
            else:
                self._watch_writing(left)

        self._write_timer = self._loop.call_later(seconds, check)

    def _drop(self) -> None:
        """Close the connection without what was not sent, which the kernel would keep for a client that never reads."""
        connection: socket.socket | None = self._transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _close(self) -> None:
        """Close after what is written was sent; the client may still be sending, and a reset would lose the answer."""
        self._last = self._closing = True
        self._cancel_timer()
        if self._write_timer is None:
            self._set_timer(_LINGER_SECONDS, self.abort)
        if self._eof:
            self._transport.close()
        elif not self._transport.is_closing():
            self._transport.write_eof()
            self._transport.resume_reading()

    def close_if_idle(self) -> bool:
        """Close the connection unless a request is being read or answered; return True if it is closed."""
        if self._task is None and not self._fed and not self._in_body:
            self._transport.abort()
            return True
        return False

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()


def _text(value: bytes) -> str:
    return repr(value[:60].decode("latin-1"))
