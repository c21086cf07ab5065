"""Traffic over gRPC: which calls are split, and which revision gets feedback about an earlier answer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from fairlead_contracts.traffic import FORWARDED, ROUTED, Route
from google.protobuf.message import DecodeError

from ..protocols.names import GRPC, SELDON_GRPC, SELDON_GRPC_FEEDBACK
from ..protocols.seldon_prediction_pb2 import Feedback
from ..puids import FEEDBACK_BYTES, PUID, make_puid, read_answerer
from .flight import NotSent, Passage
from .grpc_sender import GrpcAnswer, GrpcSender, Metadata
from .http_side import find_client
from .key import Onward
from .mirror import Copy
from .split import Traffic

Context = Any  # grpc.aio.ServicerContext; grpc has no types
_RESERVED = frozenset(("content-type", "host", "te", "user-agent", FORWARDED.lower(), ROUTED.lower(), PUID.lower()))
_NAME, _VERSION = 0x0A, 0x12
"""The tags of the first two fields of a ModelInferRequest, the model's name and version."""


Head = dict[str, Any]
Own = Callable[[Head], Awaitable[bytes]]
"""Answers a call with this head here."""


@dataclass(frozen=True)
class GrpcCall:
    """A call that another revision could answer."""

    protocol: str
    method: str
    """Its path."""
    head: Head
    """What the metadata say, for the model process."""
    body: bytes


class GrpcTraffic:
    """Splits calls over gRPC."""

    def __init__(self, traffic: Traffic, sender: GrpcSender, onward: Onward) -> None:
        self._traffic, self._sender, self._onward = traffic, sender, onward

    @property
    def active(self) -> bool:
        """Return True if there are routes."""
        return self._traffic.active

    async def answer(self, call: GrpcCall, context: Context, own: Own) -> bytes:
        """Answer a call here or by a route, and say which in the trailing metadata; raise ServingError."""
        traffic = self._traffic
        received = context.invocation_metadata()
        values = dict(received)
        if FORWARDED.lower() in values or (call.protocol == GRPC and names_version(call.body)):
            return await own(call.head)
        client = find_client(traffic.sticky, lambda name: _get(values, name)) if traffic.sticky is not None else b""
        is_feedback = call.protocol == SELDON_GRPC_FEEDBACK
        route = self._find_answerer(call, values, client) if is_feedback else traffic.choose(client)
        head = dict(call.head)
        makes_puid = call.protocol == SELDON_GRPC and not head["puid"]
        if makes_puid:
            head["puid"] = make_puid(route.name if route else traffic.revision)
        context.set_trailing_metadata(((ROUTED.lower(), route.name if route else traffic.revision),))
        metadata = [(key, value) for key, value in received if not key.startswith("grpc-") and key not in _RESERVED]
        if puid := head.get("puid"):
            metadata.append((PUID.lower(), puid))
        if route is None:
            content = await own(head)
            if traffic.mirrors and not is_feedback:
                self._mirror(call, metadata, content)
            return content
        seconds = context.time_remaining()
        send = self._build_send(call, metadata, seconds)
        if is_feedback:
            return (await traffic.forward(route, send, len(call.body), None, seconds)).content
        try:
            return (await traffic.forward(route, send, len(call.body), partial(own, head), seconds)).content
        except NotSent:
            context.set_trailing_metadata(((ROUTED.lower(), traffic.revision),))
            if makes_puid:
                head["puid"] = make_puid(traffic.revision)
            return await own(head)

    async def close(self) -> None:
        """Close the connections."""
        await self._sender.close()

    def _find_answerer(self, call: GrpcCall, values: dict[str, str | bytes], client: bytes) -> Route | None:
        """Return the route whose answer feedback is about; None for this server, also if nothing says so."""
        name = _get(values, ROUTED.lower().encode()).decode("ascii", "replace") or _read_answerer(call.body)
        return self._traffic.find_answerer(name, client)

    def _mirror(self, call: GrpcCall, metadata: Metadata, live: bytes) -> None:
        from .answers import Body  # loaded before there are mirrors, see loading.py
        from .compare import compare
        from .grpc_answers import READERS

        read = READERS[call.protocol]

        async def prepare() -> None:
            pass  # gRPC has unpacked the answer

        async def judge(answer: GrpcAnswer) -> tuple[bool, float]:
            return await compare(read, Body(live), Body(answer.content))

        self._traffic.mirror(Copy(self._build_send(call, metadata, None), len(call.body), len(live), prepare, judge))

    def _build_send(
        self, call: GrpcCall, metadata: Metadata, seconds: float | None
    ) -> Callable[[Route, Passage], Awaitable[GrpcAnswer]]:
        self._sender.retain(self._traffic.document)

        async def send(route: Route, passage: Passage) -> GrpcAnswer:
            changes = {name.lower(): value for name, value in self._onward.headers.items()}
            kept = [(name, value) for name, value in metadata if name not in changes]
            own = [(name, value) for name, value in changes.items() if value]
            answer = await self._sender.send(route, call.method, call.body, [*kept, *own], seconds)
            passage.reserve(len(answer.content))
            return answer

        return send


def _get(values: dict[str, str | bytes], name: bytes) -> bytes:
    value = values.get(name.decode(), b"")
    return value.encode() if isinstance(value, str) else value


def _read_answerer(feedback: bytes) -> str:
    """Return the name that a server has put into the puid of the answer that feedback is about; empty if none has."""
    if len(feedback) > FEEDBACK_BYTES:
        return ""
    try:
        return read_answerer(Feedback.FromString(feedback).response.meta.puid)
    except DecodeError:
        return ""  # whoever answers says what is wrong


def names_version(message: bytes) -> bool:
    """Return True if a ModelInferRequest names a version; protocol buffers are written in the order of their fields."""
    place = 0
    if message[:1] == bytes((_NAME,)):
        length, place, shift = 0, 1, 0
        for place in range(1, min(len(message), 6)):
            length |= (message[place] & 0x7F) << shift
            shift += 7
            if message[place] < 0x80:
                break
        place += 1 + length
    return message[place : place + 1] == bytes((_VERSION,)) and message[place + 1 : place + 2] not in (b"", b"\0")
