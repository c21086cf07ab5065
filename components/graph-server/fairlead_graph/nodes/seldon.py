"""A remote node: a Seldon Core v1 microservice (the wrapper of seldon-core 1.17.1), called over REST or gRPC."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from fairlead_contracts.errors import ContractError
from fairlead_contracts.graph import GraphNode as NodeSpec
from fairlead_serving.bodies import parse_json
from fairlead_serving.errors import BadRequest, Code

from ..errors import NodeFailed, RequestRejected
from ..roles import Method
from ..seldon_message import NDARRAY, TENSOR, build_data, describe_failure, parse_message
from ..tensors import Message, Signature
from .base import Context, Feedback, NodeKind, Resources
from .grpc_transport import CONNECT, GrpcTransport
from .remote import Answer, Remote, build_remote
from .rest_transport import RestTransport


@dataclass(frozen=True)
class Wire:
    """Seldon's messages in the form of one transport."""

    action: Callable[[Method], str]
    """The path or method of a call."""
    ping: str
    """The action of a readiness check."""
    encode: Callable[[Method, Any], bytes]
    """Encodes a message, which is a document with arrays in it; raises ContractError."""
    decode: Callable[[bytes], Any]
    """Decodes a message; raises ContractError."""


@dataclass
class SeldonNode:
    """A microservice."""

    name: str
    remote: Remote
    wire: Wire
    signature: Signature | None = None
    """The wrapper has no signature that could be relied on."""
    image: tuple[str, str] = ("", "")

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
        answer = await self.remote.ask(self.wire.ping)
        if answer.status.startswith("5"):
            text = f"{self.remote.transport.address}{self.wire.ping} answered {answer.status}"
            raise NodeFailed(self.name, text, Code.UNAVAILABLE)

    async def close(self) -> None:
        """Close the connections."""
        await self.remote.close()

    async def _send(self, method: Method, document: Any, context: Context) -> Any:
        """Send a document and return the one in the response; raise NodeFailed or RequestRejected."""
        try:
            body = self.wire.encode(method, document)
        except ContractError as error:
            raise RequestRejected.from_contract(error) from None
        answer = await self.remote.call(self.wire.action(method), body, context.deadline)
        return self._read(method, answer)

    def _read(self, method: Method, answer: Answer) -> Any:
        if answer.code is not Code.OK and answer.text:
            self._fail(method, answer, answer.text)
        try:
            document = self.wire.decode(answer.content)
        except ContractError as error:
            problem = f"/{method} answered {answer.status} with {answer.content[:80]!r}, expected {error.expected}"
            raise NodeFailed(self.name, problem, Code.BAD_NODE) from None
        if answer.code is not Code.OK:
            self._fail(method, answer, describe_failure(document, "no reason given"))
        return document

    def _fail(self, method: Method, answer: Answer, reason: str) -> None:
        code = answer.code if answer.code is Code.INVALID else Code.BAD_NODE
        raise NodeFailed(self.name, f"/{method} answered {answer.status}: {reason}", code)


def _build_message(message: Message, puid: str) -> dict[str, Any]:
    if len(message.tensors) != 1:
        raise RequestRejected("inputs", sorted(message.tensors), "one tensor: Seldon's message holds only one")
    (array,) = message.tensors.values()
    form = NDARRAY if array.dtype == object or array.dtype == bool else TENSOR
    data = build_data(array, message.names, form)
    if not message.names:
        data["names"] = []
    return {"data": data, "meta": {"puid": puid, "tags": dict(message.tags)}}


def _decode_json(content: bytes) -> Any:
    try:
        return parse_json(content)
    except BadRequest:
        raise ContractError("body", content[:80], "JSON") from None


_REST = Wire(
    action=lambda method: f"/{method}",
    ping="/health/ping",
    encode=lambda _, document: orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY),
    decode=_decode_json,
)


def _load(spec: NodeSpec, at: str, resources: Resources) -> SeldonNode:  # noqa: ARG001
    assert spec.endpoint is not None
    remote = build_remote(spec, resources.settings, {"REST": RestTransport, "GRPC": GrpcTransport})
    if spec.endpoint.type == "REST":
        return SeldonNode(spec.name, remote, _REST)
    from .. import seldon_proto  # protobuf's messages, which other graphs do not need

    return SeldonNode(spec.name, remote, Wire(seldon_proto.action, CONNECT, seldon_proto.encode, seldon_proto.decode))


KIND = NodeKind(_load)
