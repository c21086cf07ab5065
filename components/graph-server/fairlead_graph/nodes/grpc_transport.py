"""Remote servers over gRPC."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
from fairlead_serving.errors import Code

from .remote import Answer, Unreachable

_CODES = {
    grpc.StatusCode.INVALID_ARGUMENT: Code.INVALID,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Code.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: Code.TOO_LATE,
}
_READY, _FAILED = grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE
_RECONNECT_SECONDS = 0.2
CONNECT = "connect"
"""The action that only makes sure of a connection."""


class GrpcTransport:
    """A connection to one server; an action is a service and its method: /seldon.protos.Model/Predict."""

    def __init__(self, host: str, port: int, max_bytes: int) -> None:
        self.address = f"{host}:{port}"
        self._max_bytes = max_bytes
        self._channel: Any = None
        self._methods: dict[str, Callable[[bytes], Any]] = {}

    async def send(self, action: str, body: bytes | None) -> Answer:
        """Call a method, once connected; raise Unreachable."""
        await self._connect()
        if action == CONNECT:
            return Answer("OK", Code.OK, b"")
        if action not in self._methods:
            self._methods[action] = self._channel.unary_unary(action)
        try:
            content = await self._methods[action](body or b"")
        except grpc.aio.AioRpcError as error:
            code = _CODES.get(error.code(), Code.BAD_NODE)
            return Answer(error.code().name, code, b"", (error.details() or "no reason given")[:400])
        return Answer("OK", Code.OK, content)

    async def close(self) -> None:
        """Close the connection."""
        if self._channel is not None:
            await self._channel.close()

    async def _connect(self) -> None:
        """Wait for a connection, to distinguish a failure to make one from one that broke during a call."""
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(self.address, [
                ("grpc.enable_retries", 0),
                ("grpc.enable_http_proxy", 0),
                ("grpc.max_receive_message_length", self._max_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_metadata_size", 16 << 10),
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.min_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 1000),
                # channels to one address share a connection otherwise, and its failures
                ("grpc.use_local_subchannel_pool", 1),
            ])  # fmt: skip
        old_failure = self._channel.get_state() is _FAILED
        while (state := self._channel.get_state(try_to_connect=True)) is not _READY:
            if state is _FAILED and not old_failure:
                raise Unreachable("cannot connect")
            try:
                # after a failure, gRPC tries again without leaving this state until it succeeds
                async with asyncio.timeout(_RECONNECT_SECONDS if old_failure else None):
                    await self._channel.wait_for_state_change(state)
            except TimeoutError:
                raise Unreachable("cannot connect, as before") from None
            old_failure = False
