"""The syntax of HTTP/1.1: bytes become whole requests, or the response that rejects them.

Node's parser (httptools) does the syntax. It rejects two lengths, a length next to Transfer-Encoding, and other means
of request smuggling.
"""

from typing import Protocol

import httptools

from .limits import KIB, Limits
from .messages import Guard, Request, Response, decode_path, json_response

FREE_BYTES = 64 * KIB
"""The first bytes of one body for each connection do not count against the limit for all bodies, so that small requests
always get through."""

_MAX_HEADERS = 256
"""In memory, a header takes 13 times what a short one has on the wire."""


class Receiver(Protocol):
    """The connection whose requests are parsed."""

    @property
    def idle(self) -> bool:
        """Return True if no earlier request waits for its answer."""

    def receive_headers(self, expects_continue: bool) -> None:
        """Handle valid headers; the client may wait to be asked for the body."""

    def receive_request(self, request: Request, reserved: int) -> bool:
        """Handle a whole request, for whose body memory is reserved; return False to ignore what follows."""

    def reserve_body(self, count: int) -> bool:
        """Reserve memory for a part of a body; return False if there is none."""


class RequestParser:
    """Parses the requests of one connection."""

    def __init__(self, limits: Limits, receiver: Receiver, guard: Guard | None = None) -> None:
        self.rejection: Response | None = None
        """The response to a request that is invalid or over a limit."""
        self.in_body = False
        """Whether the headers of a request are complete, and its body is not."""
        self._limits = limits
        self._receiver, self._guard = receiver, guard
        self._parser = httptools.HttpRequestParser(self)
        self._ignoring = False
        self._progress = 0
        """Counts parts of bodies and their ends."""
        self._reset()

    def _reset(self) -> None:
        self._begun = False
        self._header_bytes = self._framing_bytes = 0
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._size_of_headers = self._hosts = 0
        self.in_body = False
        self._body: list[bytes] = []
        self._size = self._reserved = 0
        self._max_body_bytes = self._limits.max_body_bytes

    @property
    def in_request(self) -> bool:
        """Return True if a part of a request was received, and not all of it."""
        # The bytes of a request that arrived together with the end of another one are not counted.
        return self._begun or bool(self._header_bytes) or self.in_body

    def feed(self, data: bytes) -> bool:
        """Parse; return False if the client wants to change the protocol after the request."""
        keeps_protocol, before = True, self._progress if self.in_body else -1
        if not self.in_body:
            self._header_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            keeps_protocol = False
        except httptools.HttpParserError as error:
            self._reject(400, f"invalid HTTP: {error}")
        if self.in_body and self._progress == before:
            self._framing_bytes += len(data)
        if not self.in_body and self._header_bytes > self._limits.max_header_bytes:
            self._reject_headers()
        elif self._framing_bytes > self._limits.max_header_bytes:
            # httptools keeps what it has of a trailer
            self._reject(431, f"trailers: got more bytes, expected at most {self._limits.max_header_bytes}")
        return keeps_protocol

    def drop_body(self) -> int:
        """Forget the body of a request that is rejected; return what was reserved for it."""
        reserved, self._reserved = self._reserved, 0
        self._body.clear()
        return reserved

    # The callbacks of httptools

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        self._begun = True

    def on_url(self, url: bytes) -> None:
        """Collect the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header; trailers are ignored."""
        if self.in_body:
            return
        if len(self._headers) == _MAX_HEADERS:
            self._reject(431, f"headers: got more, expected at most {_MAX_HEADERS}")
            return
        name = name.lower()
        self._headers.append((name, value))
        self._size_of_headers += len(name) + len(value) + 4
        if name == b"host":
            self._hosts += 1

    def on_headers_complete(self) -> None:
        """Check the headers."""
        self.in_body = True
        if self.rejection is not None or self._ignoring:
            return
        values = dict(self._headers)
        self._check_headers(values)
        self._ask_guard()
        if (length := int(values.get(b"content-length", b"0"))) > self._max_body_bytes:
            self._reject_size(f"{length}")
        self._receiver.receive_headers(
            expects_continue=self.rejection is None and values.get(b"expect", b"").lower() == b"100-continue"
        )

    def on_body(self, body: bytes) -> None:
        """Collect a part of the body."""
        self._progress += 1
        if self.rejection is not None or self._ignoring:
            return
        self._size += len(body)
        if self._size > self._max_body_bytes:
            self._reject_size(f"more than {self._max_body_bytes}")
            return
        free = FREE_BYTES if self._receiver.idle else 0  # of all that a connection holds, only one body's are free
        more = max(self._size - free, 0) - self._reserved
        if more > 0 and not self._receiver.reserve_body(more):
            self._reject(503, "the bodies of other requests use all memory for bodies; retry later")
            return
        self._reserved += max(more, 0)
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Pass on a whole request."""
        self._progress += 1
        if self.rejection is not None or self._ignoring:
            return
        keep_alive = self._parser.should_keep_alive() and self._parser.get_http_version() == "1.1"
        method, path = self._parser.get_method().decode("latin-1"), decode_path(self._url)
        body = b"".join(self._body) if len(self._body) != 1 else self._body[0]
        request, reserved = Request(method, path, self._headers, body, keep_alive), self._reserved
        self._reset()
        self._ignoring = not self._receiver.receive_request(request, reserved)

    # Rejections

    def _check_headers(self, values: dict[bytes, bytes]) -> None:
        if len(self._url) + self._size_of_headers > self._limits.max_header_bytes:
            self._reject_headers()
            return
        if self._hosts != 1 and (self._hosts or self._parser.get_http_version() != "1.0"):
            self._reject(400, f"header Host: got {self._hosts} of them, expected one")
            return
        if b"transfer-encoding" in values:
            encodings = b", ".join(value for name, value in self._headers if name == b"transfer-encoding")
            if encodings and encodings.lower() != b"chunked":
                self._reject(400, f"header Transfer-Encoding: got {_text(encodings)}, expected chunked")

    def _ask_guard(self) -> None:
        if self._guard is None or self.rejection is not None:
            return
        method = self._parser.get_method().decode("latin-1")
        decision = self._guard(method, decode_path(self._url), self._headers)
        if isinstance(decision, Response):
            self.rejection = decision
        elif decision is not None:
            self._max_body_bytes = min(decision, self._max_body_bytes)

    def _reject_headers(self) -> None:
        self._reject(431, f"headers: got more bytes, expected at most {self._limits.max_header_bytes}")

    def _reject_size(self, got: str) -> None:
        self._reject(413, f"body: got {got} bytes, expected at most {self._max_body_bytes}")

    def _reject(self, status: int, problem: str) -> None:
        """Reject the request, unless it was rejected before: the first reason counts."""
        self.rejection = self.rejection or json_response({"error": problem}, status)


def _text(value: bytes) -> str:
    return repr(value[:60].decode("latin-1"))
