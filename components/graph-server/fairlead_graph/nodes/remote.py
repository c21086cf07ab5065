"""Calls to a remote server: in time, bounded, and repeated only if nothing of them was sent."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from fairlead_contracts.graph import GraphNode as NodeSpec
from fairlead_serving.errors import Code

from ..errors import NodeFailed
from ..settings import NodeSettings

_LOCALHOST = ("127.0.0.1", "localhost")
_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.05, 1.0
CHECK_SECONDS = 5.0
"""Timeout of a readiness check."""


class Unreachable(Exception):
    """No connection could be made, so nothing was sent."""


class Broken(Exception):
    """The call may have had an effect, but there is no answer, or one that is too long."""


@dataclass(frozen=True)
class Answer:
    """A remote server's answer, of which nothing is known yet but that it is short enough."""

    status: str
    """The status in the words of its transport: 200, or UNAVAILABLE."""
    code: Code
    """The same in ours."""
    content: bytes
    text: str = ""
    """What the transport says about a failure."""


class Transport(Protocol):
    """How a protocol is carried. It belongs to the event loop that first uses it."""

    address: str

    async def send(self, action: str, body: bytes | None) -> Answer:
        """Send a body, or ask for an action without one; raise Unreachable or Broken."""

    async def close(self) -> None:
        """Close the connections."""


@dataclass
class Remote:
    """A remote server."""

    node: str
    transport: Transport
    timeout_seconds: float
    retries: int = 0

    async def call(self, action: str, body: bytes, deadline: float) -> Answer:
        """Return the answer to a call; raise NodeFailed if there is none. The deadline is in the event loop's time."""
        loop = asyncio.get_running_loop()
        seconds = min(self.timeout_seconds, max(deadline - loop.time(), 0.0))
        try:
            async with asyncio.timeout(seconds):
                return await self._send(action, body)
        except TimeoutError:
            raise NodeFailed(self.node, f"no response to {action} within {seconds:.3g} s", Code.TOO_LATE) from None
        except (Unreachable, Broken) as error:
            problem = f"{action} at {self.transport.address} failed: {error}"
            raise NodeFailed(self.node, problem, Code.BAD_NODE) from None

    async def ask(self, action: str, body: bytes | None = None) -> Answer:
        """Return the answer to a question about the server itself; raise NodeFailed if it does not respond."""
        try:
            async with asyncio.timeout(min(self.timeout_seconds, CHECK_SECONDS)):
                return await self.transport.send(action, body)
        except (TimeoutError, Unreachable, Broken) as error:
            problem = f"{self.transport.address} does not respond: {str(error) or 'timeout'}"
            raise NodeFailed(self.node, problem, Code.UNAVAILABLE) from None

    async def close(self) -> None:
        """Close the connections."""
        await self.transport.close()

    async def _send(self, action: str, body: bytes) -> Answer:
        for attempt in range(self.retries):
            try:
                return await self.transport.send(action, body)
            except Unreachable:
                await asyncio.sleep(min(_PAUSE_SECONDS * 2**attempt, _MAX_PAUSE_SECONDS))
        return await self.transport.send(action, body)


def build_remote(
    spec: NodeSpec, settings: NodeSettings, transports: dict[str, Callable[[str, int, int], Transport]]
) -> Remote:
    """Return the calls to a node's server; `transports` are made from host, port and the longest answer's bytes."""
    assert spec.endpoint is not None
    host = _locate(spec.endpoint.host, settings.bind_address)
    build = transports[spec.endpoint.type]
    transport = build(f"[{host}]" if ":" in host else host, spec.endpoint.port, settings.max_response_bytes)
    return Remote(spec.name, transport, spec.timeout_seconds or settings.node_timeout_seconds, spec.retries or 0)


def _locate(host: str, bind_address: str) -> str:
    """Return a node's address: where pods are processes, the pod's own loopback address replaces localhost."""
    return bind_address if host in _LOCALHOST and bind_address.startswith("127.") else host
