"""HTTP requests and responses as values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import unquote

import orjson

from .errors import Code

JSON = "application/json"
RETRY_AFTER = ("Retry-After", "1")
HTTP_STATUS: dict[Code, int] = {
    Code.OK: 200,
    Code.INVALID: 400,
    Code.UNAUTHENTICATED: 401,
    Code.NOT_FOUND: 404,
    Code.UNPROCESSABLE: 422,
    Code.INTERNAL: 500,
    Code.BAD_NODE: 502,
    Code.UNAVAILABLE: 503,
    Code.TOO_LATE: 504,
}
"""HTTP's word for what became of a request."""
_COMMON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
"""The head of nearly all responses."""
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@dataclass(slots=True)
class Request:
    """A whole request; nothing changes it. (Freezing takes longer than all else of making one.)"""

    method: str
    path: str
    """The decoded path, without its query."""
    headers: Sequence[tuple[bytes, bytes]]
    """Names in lower case."""
    body: bytes = field(repr=False)
    keep_alive: bool = True

    def header(self, name: bytes) -> bytes:
        """Return the first value of a header, or nothing."""
        for key, value in self.headers:  # a generator takes three times as long, several times for each request
            if key == name:
                return value
        return b""


@dataclass(slots=True)
class Response:
    """An HTTP response; nothing changes it."""

    body: bytes = field(repr=False)
    status: int = 200
    content_type: str = JSON
    headers: Sequence[tuple[str, str]] = ()

    def encode(self, close: bool, with_body: bool = True) -> list[bytes]:
        """Return the response's bytes; a response to HEAD has no body."""
        if self.status == 200 and self.content_type == JSON and not (self.headers or close) and self.body and with_body:
            return [_COMMON_HEAD % len(self.body), self.body]
        lines = [
            f"HTTP/1.1 {self.status} {_PHRASES.get(self.status, '')}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        if close:
            lines.append("Connection: close")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        return [head, self.body] if with_body and self.body else [head]


Headers = Sequence[tuple[bytes, bytes]]
Guard = Callable[[str, str, Headers], Response | int | None]
"""Decides about a request by its method, path and headers, before its body is read.

Returns its rejection, the bytes that its body may have at most, or None to admit it as it is.
"""


class App(Protocol):
    """What a server does with requests."""

    async def answer(self, request: Request) -> Response:
        """Return the response; raise nothing."""

    def drain(self) -> None:
        """Become unready: the server will exit."""

    def give_up(self) -> None:
        """Answer the requests in flight now: the server exits."""


def json_response(document: Any, status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> Response:
    """Return a document as a response; with 503, clients are asked to retry."""
    return Response(orjson.dumps(document), status, headers=[*headers, RETRY_AFTER] if status == 503 else headers)


def decode_path(target: bytes) -> str:
    """Return the path of a request's target."""
    text = target.decode("latin-1")
    if not text.startswith("/"):  # the absolute form, which proxies use
        scheme, _, rest = text.partition("://")
        text = "/" + rest.partition("/")[2] if scheme in ("http", "https") else text
    path = text.partition("?")[0]
    return unquote(path) if "%" in path else path
