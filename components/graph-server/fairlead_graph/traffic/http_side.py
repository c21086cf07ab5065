"""Traffic over HTTP: which requests are split, and which revision gets feedback about an earlier answer."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from fairlead_contracts.traffic import FORWARDED, ROUTED, Route, Sticky
from fairlead_serving.compression import decompress
from fairlead_serving.errors import BadRequest
from fairlead_serving.messages import Request, Response

from ..protocols.names import SELDON, SELDON_FEEDBACK
from ..puids import FEEDBACK_BYTES, PUID, make_puid, read_answerer
from .flight import NotSent, Passage
from .key import Onward
from .mirror import Copy
from .split import Traffic

if TYPE_CHECKING:
    from .http_sender import HttpAnswer, HttpSender

_FORWARDED = FORWARDED.lower().encode()
Head = dict[str, Any]
Own = Callable[[Head, Sequence[tuple[str, str]]], Awaitable[Response]]
"""Answers a request with this head here, with more headers."""


class HttpTraffic:
    """Splits requests over HTTP."""

    def __init__(self, traffic: Traffic, onward: Onward) -> None:
        self._traffic, self._onward = traffic, onward
        self._own_headers = ((ROUTED, traffic.revision),)
        self._sender: HttpSender | None = None

    @property
    def active(self) -> bool:
        """Return True if there are routes."""
        return self._traffic.active

    async def answer(self, request: Request, protocol: str, head: Head, own: Own) -> Response:
        """Answer a valid path's request here or by a route, and say which; raise ServingError."""
        traffic = self._traffic
        if "/versions/" in request.path or is_forwarded(request):
            return await own(head, ())
        is_feedback = protocol == SELDON_FEEDBACK
        route = self._find_answerer(request) if is_feedback else traffic.choose(self._client(request))
        makes_puid = protocol == SELDON and not head["puid"]
        if makes_puid:
            head["puid"] = make_puid(route.name if route else traffic.revision)
        if route is None:
            response = await own(head, self._own_headers)
            if traffic.mirrors and not is_feedback:
                self._mirror(request, protocol, response)
            return response
        changes = {PUID: head["puid"]} if "puid" in head else {}
        send = self._build_send(request, changes, repeatable=not is_feedback)
        if is_feedback:
            return (await traffic.forward(route, send, len(request.body), None)).response
        try:
            return (await traffic.forward(route, send, len(request.body), partial(own, head, ()))).response
        except NotSent:
            if makes_puid:
                head["puid"] = make_puid(traffic.revision)
            return await own(head, self._own_headers)

    def give_up(self) -> None:
        """End what is on its way to routes: the server exits."""
        self._traffic.give_up()

    async def close(self) -> None:
        """Close the connections."""
        if self._sender is not None:
            await self._sender.close()

    def _client(self, request: Request) -> bytes:
        """Return what the client is known by; nothing if it is not."""
        sticky = self._traffic.sticky
        return find_client(sticky, request.header) if sticky is not None else b""

    def _find_answerer(self, request: Request) -> Route | None:
        """Return the route whose answer feedback is about; None for this server, also if nothing says so."""
        name = request.header(ROUTED.lower().encode()).decode("ascii", "replace") or _read_answerer(request)
        return self._traffic.find_answerer(name, self._client(request))

    def _mirror(self, request: Request, protocol: str, live: Response) -> None:
        from .answers import Body  # loaded before there are mirrors, see loading.py
        from .compare import READERS, compare, unpack

        body, read = Body.from_response(live), READERS[protocol]
        changes = {PUID: dict(live.headers).get(PUID, ""), "Accept-Encoding": ""}

        async def prepare() -> None:
            nonlocal body
            body = await unpack(body)

        async def judge(answer: "HttpAnswer") -> tuple[bool, float]:
            return await compare(read, body, Body.from_response(answer.response))

        send = self._build_send(request, changes, repeatable=False)
        self._traffic.mirror(Copy(send, len(request.body), len(live.body), prepare, judge))

    def _build_send(
        self, request: Request, changes: dict[str, str], repeatable: bool
    ) -> "Callable[[Route, Passage], Awaitable[HttpAnswer]]":
        if self._sender is None:
            from .http_sender import HttpSender  # loaded before there are routes, see loading.py

            self._sender = HttpSender()
        sender = self._sender

        async def send(route: Route, passage: Passage) -> "HttpAnswer":
            return await sender.send(route, passage, request, (changes | self._onward.headers).items(), repeatable)

        return send


def is_forwarded(request: Request) -> bool:
    """Return True if another server has sent the request on."""
    for name, _ in request.headers:  # noqa: SIM110 - a generator takes three times as long, for each request
        if name == _FORWARDED:
            return True
    return False


def find_client(sticky: Sticky, header: Callable[[bytes], bytes]) -> bytes:
    """Return the value that keeps a client at a route; nothing if it has sent none."""
    if sticky.header is not None:
        return header(sticky.header.lower().encode())
    assert sticky.cookie is not None
    cookie = sticky.cookie.encode()
    for part in header(b"cookie").split(b";"):
        name, _, value = part.strip().partition(b"=")
        if name == cookie:
            return value
    return b""


def _read_answerer(request: Request) -> str:
    """Return the name that a server has put into the puid of the answer that feedback is about; empty if none has."""
    encoding = request.header(b"content-encoding").decode("ascii", "replace").strip().lower()
    try:
        body = decompress(request.body, encoding, FEEDBACK_BYTES) if encoding else request.body
        document = orjson.loads(body) if len(body) <= FEEDBACK_BYTES else None
    except (BadRequest, orjson.JSONDecodeError):
        return ""  # whoever answers says what is wrong
    for key in ("response", "meta", "puid"):
        document = document.get(key) if isinstance(document, dict) else None
    return read_answerer(document) if isinstance(document, str) else ""
