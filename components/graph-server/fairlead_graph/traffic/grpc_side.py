"""Traffic over gRPC: which calls are split."""

from collections.abc import Awaitable, Callable
from typing import Any

from fairlead_contracts.traffic import FORWARDED, ROUTED, Route

from .flight import NotSent, Passage
from .grpc_sender import GrpcAnswer, GrpcSender, Metadata
from .http_side import find_client
from .mirror import Copy
from .split import Traffic

Context = Any  # grpc.aio.ServicerContext; grpc has no types
_RESERVED = frozenset(("content-type", "host", "te", "user-agent", FORWARDED.lower(), ROUTED.lower()))
_NAME, _VERSION = 0x0A, 0x12
"""The tags of the first two fields of a ModelInferRequest, the model's name and version."""


class GrpcTraffic:
    """Splits calls over gRPC."""

    def __init__(self, traffic: Traffic, sender: GrpcSender) -> None:
        self._traffic, self._sender = traffic, sender

    @property
    def active(self) -> bool:
        """Return True if there are routes."""
        return self._traffic.active

    async def answer(self, body: bytes, context: Context, own: Callable[[], Awaitable[bytes]]) -> bytes:
        """Answer a call here or by a route, and say which in the trailing metadata; raise ServingError."""
        traffic = self._traffic
        received = context.invocation_metadata()
        values = dict(received)
        if FORWARDED.lower() in values or names_version(body):
            return await own()
        client = find_client(traffic.sticky, lambda name: _get(values, name)) if traffic.sticky is not None else b""
        route = traffic.choose(client)
        context.set_trailing_metadata(((ROUTED.lower(), route.name if route else traffic.revision),))
        metadata = [(key, value) for key, value in received if not key.startswith("grpc-") and key not in _RESERVED]
        if route is None:
            content = await own()
            if traffic.mirrors:
                self._mirror(body, metadata, content)
            return content
        seconds = context.time_remaining()
        send = self._build_send(body, metadata, seconds)
        try:
            answer = await traffic.forward(route, send, len(body), own, seconds)
        except NotSent:
            context.set_trailing_metadata(((ROUTED.lower(), traffic.revision),))
            return await own()
        return answer.content

    async def close(self) -> None:
        """Close the connections."""
        await self._sender.close()

    def _mirror(self, body: bytes, metadata: Metadata, live: bytes) -> None:
        from .answers import Body  # loaded before there are mirrors, see loading.py
        from .compare import compare
        from .grpc_answers import read_grpc

        async def prepare() -> None:
            pass  # gRPC has unpacked the answer

        async def judge(answer: GrpcAnswer) -> tuple[bool, float]:
            return await compare(read_grpc, Body(live), Body(answer.content))

        self._traffic.mirror(Copy(self._build_send(body, metadata, None), len(body), len(live), prepare, judge))

    def _build_send(
        self, body: bytes, metadata: Metadata, seconds: float | None
    ) -> Callable[[Route, Passage], Awaitable[GrpcAnswer]]:
        self._sender.retain(self._traffic.document)

        async def send(route: Route, passage: Passage) -> GrpcAnswer:
            answer = await self._sender.send(route, body, metadata, seconds)
            passage.reserve(len(answer.content))
            return answer

        return send


def _get(values: dict[str, str | bytes], name: bytes) -> bytes:
    value = values.get(name.decode(), b"")
    return value.encode() if isinstance(value, str) else value


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
