"""A remote node: a Seldon Core v1 microservice (the wrapper of seldon-core 1.17.1), called over REST."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
from fairlead_contracts.errors import ContractError
from fairlead_contracts.graph import GraphNode as NodeSpec
from fairlead_serving.errors import Code

from ..errors import NodeFailed, RequestRejected
from ..roles import Method
from ..seldon_message import NDARRAY, TENSOR, build_data, describe_failure, parse_message
from ..settings import NodeSettings
from ..tensors import Message, Signature
from .base import Context, Feedback, NodeKind, Resources

_HEADERS = {"Content-Type": "application/json"}
# The wrapper's server closes idle connections after 2 s; this client must close them first.
_KEEPALIVE_SECONDS = 1.5
_CONNECTIONS = 100
_LOCALHOST = ("127.0.0.1", "localhost")


@dataclass
class SeldonNode:
    """A microservice and the pool of connections to it."""

    name: str
    url: str
    settings: NodeSettings
    signature: Signature | None = None
    image: tuple[str, str] = ("", "")
    _session: aiohttp.ClientSession | None = field(default=None, repr=False)

    async def call(self, method: Method, messages: Sequence[Message], context: Context) -> Message:
        """Send a Seldon message and return the one in the response; raise NodeFailed or RequestRejected."""
        bodies = [_build_message(message, context.puid) for message in messages]
        document = {"seldonMessages": bodies} if method == "aggregate" else bodies[0]
        answer = await self._send(method, document, context)
        try:
            message, _ = parse_message(answer)
        except ContractError as error:
            problem = f"/{method} did not answer with a Seldon message: {error}"
            raise NodeFailed(self.name, problem, Code.BAD_NODE) from None
        sent = messages[0]
        return Message(message.tensors, message.columns, typed=False, tags={**sent.tags, **message.tags})

    async def send_feedback(self, feedback: Feedback, context: Context) -> None:
        """Pass the message on; raise NodeFailed."""
        await self._send("send-feedback", feedback.document, context)

    async def check(self) -> None:
        """Ping the microservice; any response except 5xx means that it is ready."""
        try:
            async with self._pool().get(f"{self.url}/health/ping") as response:
                status = response.status
        except (TimeoutError, aiohttp.ClientError) as error:
            raise NodeFailed(
                self.name, f"{self.url} does not respond: {error or 'timeout'}", Code.UNAVAILABLE
            ) from None
        if status >= 500:
            raise NodeFailed(self.name, f"{self.url}/health/ping answered {status}", Code.UNAVAILABLE)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _send(self, method: Method, document: Any, context: Context) -> Any:
        """Send a document and return the one in the response; raise NodeFailed."""
        body = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
        try:
            async with asyncio.timeout_at(context.deadline):
                status, content = await self._post(f"{self.url}/{method}", body)
        except TimeoutError:
            problem = f"no response to /{method} within {self.settings.node_timeout_seconds:g} s"
            raise NodeFailed(self.name, problem, Code.TOO_LATE) from None
        except aiohttp.ClientError as error:
            raise NodeFailed(self.name, f"/{method} at {self.url} failed: {error}", Code.BAD_NODE) from None
        return self._read_response(method, status, content)

    async def _post(self, url: str, body: bytes) -> tuple[int, bytes]:
        for last_try in (False, True):
            try:
                async with self._pool().post(url, data=body, headers=_HEADERS) as response:
                    return response.status, await response.read()
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                # A pooled connection may be closed between two requests; a prediction can be retried.
                if last_try:
                    raise
        raise AssertionError("unreachable")

    def _pool(self) -> aiohttp.ClientSession:
        """Return the session, opened on first use because it belongs to the running event loop."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEEPALIVE_SECONDS)
            timeout = aiohttp.ClientTimeout(total=self.settings.node_timeout_seconds)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return self._session

    def _read_response(self, method: Method, status: int, content: bytes) -> Any:
        try:
            document = orjson.loads(content)
        except orjson.JSONDecodeError:
            problem = f"/{method} answered {status} with {content[:80]!r}, expected JSON"
            raise NodeFailed(self.name, problem, Code.BAD_NODE) from None
        if status != 200:
            problem = f"/{method} answered {status}: {describe_failure(document, 'no reason given')}"
            raise NodeFailed(self.name, problem, Code.INVALID if status == 400 else Code.BAD_NODE)
        return document


def _build_message(message: Message, puid: str) -> dict[str, Any]:
    if len(message.tensors) != 1:
        raise RequestRejected("inputs", sorted(message.tensors), "one tensor: Seldon's message holds only one")
    (array,) = message.tensors.values()
    form = NDARRAY if array.dtype == object or array.dtype == bool else TENSOR
    data = build_data(array, message.columns, form)
    if not message.columns:
        data["names"] = []
    return {"data": data, "meta": {"puid": puid, "tags": dict(message.tags)}}


def _load(spec: NodeSpec, at: str, resources: Resources) -> SeldonNode:  # noqa: ARG001
    assert spec.endpoint is not None
    host = _locate(spec.endpoint.host, resources.settings.bind_address)
    url = f"http://[{host}]" if ":" in host else f"http://{host}"
    return SeldonNode(spec.name, f"{url}:{spec.endpoint.port}", resources.settings)


def _locate(host: str, bind_address: str) -> str:
    """Return a node's address: where pods are processes, the pod's own loopback address replaces localhost."""
    return bind_address if host in _LOCALHOST and bind_address.startswith("127.") else host


KIND = NodeKind(_load)
