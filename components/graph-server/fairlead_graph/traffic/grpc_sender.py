"""Requests to routes over gRPC."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from fairlead_contracts.traffic import Route, TrafficDocument
from fairlead_serving.errors import Code, Failed

from ..resolving import resolve_target
from .flight import NotAdmitted, NotSent
from .tasks import Tasks

Metadata = Sequence[tuple[str, str | bytes]]

_CHANNELS = 4
"""Connections to each route: a Service chooses a pod for each connection, not for each call."""
_IDLE_MS = 60_000
_CODES = {
    grpc.StatusCode.INVALID_ARGUMENT: Code.INVALID,
    grpc.StatusCode.NOT_FOUND: Code.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION: Code.UNPROCESSABLE,
    grpc.StatusCode.INTERNAL: Code.INTERNAL,
    grpc.StatusCode.UNAVAILABLE: Code.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: Code.TOO_LATE,
}
"""What a graph server says; all else is no answer of one."""
_NO_CONNECTION = "failed to connect"
"""What gRPC says if it has sent nothing. A route that says so, too, gets no answer of its own to the client."""


@dataclass(frozen=True)
class GrpcAnswer:
    """A route's answer."""

    content: bytes
    code: Code = Code.OK


class GrpcSender:
    """Sends calls over a few connections to each route."""

    def __init__(self, max_message_bytes: int, grace_seconds: float) -> None:
        """Answers are bounded as messages are: all of those that gRPC holds have to fit into memory."""
        self._options = [
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.enable_http_proxy", 0),
            ("grpc.client_idle_timeout_ms", _IDLE_MS),
            # A route that is back is used again soon.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 1000),
            ("grpc.max_reconnect_backoff_ms", 1000),
        ]
        self._grace_seconds = grace_seconds
        self._channels: dict[str, list[Any]] = {}
        self._turns: dict[str, Iterator[Any]] = {}
        self._document: TrafficDocument | None = None
        self._closing = Tasks()

    async def send(
        self, route: Route, method: str, body: bytes, metadata: Metadata, seconds: float | None
    ) -> GrpcAnswer:
        """Return the route's answer to a call within some seconds; raise Failed with what it says, or NotSent."""
        try:
            channel = next(await self._open(route))
        except OSError as error:
            raise NotSent(route.name, f"{route.host}: {error}") from None
        try:
            call = channel.unary_unary(method)
            content = await call(body, timeout=seconds, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE and f"{error.details()}".startswith(_NO_CONNECTION):
                raise NotSent(route.name, error.details()) from None
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                raise NotAdmitted(route.name) from None
            code = _CODES.get(error.code(), Code.BAD_NODE)
            raise Failed(code, "ROUTE_FAILED", f"{error.details()}") from None
        return GrpcAnswer(content)

    def retain(self, document: TrafficDocument | None) -> None:
        """Close the connections to routes that a new document has not; calls on their way may end."""
        if document is self._document:
            return
        self._document = document
        kept = {_address(route) for route in document.routes} if document else set()
        for address in self._channels.keys() - kept:
            del self._turns[address]
            for channel in self._channels.pop(address):
                self._closing.start(channel.close(self._grace_seconds))

    async def close(self) -> None:
        """Close all connections."""
        await self._closing.close()
        for channels in self._channels.values():
            for channel in channels:
                await channel.close()

    async def _open(self, route: Route) -> Iterator[Any]:
        """Return a route's connections, in turn; raise OSError if its name is not known."""
        address = _address(route)
        if address not in self._turns:
            target = await resolve_target(route.host, route.grpc_port)
            if address not in self._turns:
                channels = [grpc.aio.insecure_channel(target, options=self._options) for _ in range(_CHANNELS)]
                self._channels[address] = channels
                self._turns[address] = itertools.cycle(channels)
        return self._turns[address]


def _address(route: Route) -> str:
    return f"{route.host} {route.grpc_port}"
