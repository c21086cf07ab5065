"""Requests to routes over HTTP. This module needs aiohttp, which servers without routes do not."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import aiohttp
from fairlead_contracts.traffic import FORWARDED, ROUTED, Route
from fairlead_serving.errors import Code
from fairlead_serving.messages import HTTP_STATUS, JSON, Request, Response

from ..resolving import open_connector
from .flight import NotAdmitted, NotSent, Passage, RouteFailed

Headers = Sequence[tuple[str, str]]

_CONNECT_SECONDS = 2.0
"""A Service without a pod that answers must not hold its share for the whole deadline."""
_KEEPALIVE_SECONDS = 30.0
"""Less than a server keeps an idle connection open (FAIRLEAD_IDLE_TIMEOUT_SECONDS)."""
_BINARY = "application/octet-stream"
_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_HOP_BY_HOP = frozenset((
    b"connection", b"content-length", b"expect", b"host", b"keep-alive", b"proxy-authenticate", b"proxy-authorization",
    b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", FORWARDED.lower().encode(),
    ROUTED.lower().encode(),
))  # fmt: skip
"""What belongs to a connection, or is said anew."""
_ANSWERED = ("Content-Encoding", "Inference-Header-Content-Length", "Retry-After", "Seldon-Puid", "Vary")
"""What an answer may say outside of its body: a route sets no cookies, and sends nobody elsewhere."""
_CODES = {200: Code.OK, 400: Code.INVALID, 422: Code.UNPROCESSABLE, 503: Code.UNAVAILABLE, 504: Code.TOO_LATE}


@dataclass(frozen=True)
class HttpAnswer:
    """A route's answer, as it is passed on."""

    response: Response
    code: Code


class HttpSender:
    """Sends requests over pooled connections."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self, route: Route, passage: Passage, request: Request, changes: Iterable[tuple[str, str]], repeatable: bool
    ) -> HttpAnswer:
        """Return the route's answer to a request with changed headers; raise RouteFailed, or NotSent.

        A changed header that is empty is dropped. After a broken connection a prediction counts as not sent, too: it
        may be asked for again.
        """
        headers = build_headers(request, changes)
        try:
            try:
                return await self._post(route, passage, request, headers)
            except aiohttp.ClientConnectorError:
                raise
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                # A pooled connection may be closed as it is used; a prediction can be asked for again.
                if not repeatable:
                    raise
                return await self._post(route, passage, request, headers)
        except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError, ValueError) as error:
            # ValueError: no name of a host, such as a..b
            raise NotSent(route.name, error) from None
        except aiohttp.ClientError as error:
            problem = f"no answer in HTTP: {type(error).__name__}"
            raise RouteFailed(route.name, problem, Code.BAD_NODE) from None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _post(self, route: Route, passage: Passage, request: Request, headers: Headers) -> HttpAnswer:
        host = f"[{route.host}]" if ":" in route.host else route.host
        url = f"http://{host}:{route.port}{request.path}"
        async with self._open().post(
            url, data=request.body, headers=headers, skip_auto_headers=_AUTOMATIC, allow_redirects=False
        ) as answer:
            if answer.status == HTTP_STATUS[Code.UNAUTHENTICATED]:
                raise NotAdmitted(route.name)
            parts = []
            async for part in answer.content.iter_any():
                passage.reserve(len(part))
                parts.append(part)
            return _build_answer(route, answer, b"".join(parts))

    def _open(self) -> aiohttp.ClientSession:
        """Return the session, which belongs to the running event loop."""
        if self._session is None:
            connector = open_connector(limit=0, keepalive_seconds=_KEEPALIVE_SECONDS)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


def build_headers(request: Request, changes: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers that are sent on: those of the request that are not its connection's, and others instead."""
    changed = dict(changes)
    dropped = {name.lower().encode() for name in changed} | {
        name.strip().lower() for name in request.header(b"connection").split(b",")
    }
    kept = [
        (name.decode("ascii"), value.decode("ascii"))
        for name, value in request.headers
        if name not in _HOP_BY_HOP and name not in dropped and value.isascii() and name.isascii()
    ]
    return [*kept, *((name, value) for name, value in changed.items() if value)]


def _build_answer(route: Route, answer: aiohttp.ClientResponse, content: bytes) -> HttpAnswer:
    """Return what is passed on; raise RouteFailed if it is nothing that a graph server says."""
    status, content_type = answer.status, answer.headers.get("Content-Type", "")
    if content_type.partition(";")[0].strip().lower() not in (JSON, _BINARY) or not (
        status == 200 or 400 <= status < 600
    ):
        problem = f"answered {status} with {content_type[:60]!r}, expected {JSON} or {_BINARY}"
        raise RouteFailed(route.name, problem, Code.BAD_NODE)
    headers = [(name, answer.headers[name]) for name in _ANSWERED if name in answer.headers]
    response = Response(content, status, content_type, [*headers, (ROUTED, route.name)])
    return HttpAnswer(response, _CODES.get(status, Code.INTERNAL))
