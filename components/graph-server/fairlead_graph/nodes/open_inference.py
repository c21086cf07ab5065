"""A remote node: a model on a server of the Open Inference Protocol v2, called over REST or gRPC.

Its signature is what the server's metadata say. It is asked again with each readiness check, because the server may be
replaced by another; answers are checked against it like everything that comes from outside.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fairlead_contracts.errors import ContractError, Words
from fairlead_contracts.graph import GraphNode as NodeSpec
from fairlead_contracts.signature import MAX_TENSORS, TensorSignature
from fairlead_contracts.tensors import DTYPES, TensorSpec
from fairlead_serving.errors import BadRequest, Code

from ..errors import NodeFailed, RequestRejected
from ..roles import Method
from ..tensors import Message, Signature, Tensors, bind
from .base import Context, Feedback, NodeKind, Resources
from .remote import Answer, Remote, build_remote

Specs = tuple[TensorSpec, ...] | None


@dataclass(frozen=True)
class Wire:
    """The protocol in the form of one transport."""

    ready: str
    """The action that asks whether the model is ready, "metadata" for its signature, "infer" for an answer."""
    metadata: str
    infer: str
    question: bytes | None
    """The body of the first two."""
    encode: Callable[[Tensors], bytes]
    """Encodes a request; raises ContractError."""
    decode: Callable[[bytes, Specs], Tensors]
    """Decodes an answer with these outputs, or any; raises ContractError."""
    read_ready: Callable[[Answer], bool]
    """Returns whether the answer says that the model is ready; raises ContractError."""
    read_metadata: Callable[[bytes], Any]
    """Decodes metadata into the document that they are in JSON; raises ContractError."""
    explain: Callable[[Answer], str]
    """Returns the reason in a failure's answer."""


@dataclass
class OpenInferenceNode:
    """A model on another server."""

    name: str
    model: str
    remote: Remote
    wire: Wire
    signature: Signature | None = None

    @property
    def image(self) -> tuple[str, str]:
        """The server and the model."""
        return f"{self.remote.transport.address}/{self.model}", ""

    async def call(self, method: Method, messages: Sequence[Message], context: Context) -> Message:  # noqa: ARG002
        """Ask the model, for every method; raise NodeFailed or RequestRejected."""
        (message,) = messages
        known, tensors = self.signature, message.tensors
        if known is not None:
            tensors = bind(known.inputs, message, f"node {self.name}: input")
        try:
            body = self.wire.encode(tensors)
        except ContractError as error:
            raise RequestRejected.from_contract(error) from None
        answer = await self.remote.call(self.wire.infer, body, context.deadline)
        if answer.code is not Code.OK:
            raise NodeFailed(self.name, self._describe(self.wire.infer, answer), answer.code)
        try:
            outputs = self.wire.decode(answer.content, known.outputs if known else None)
        except (ContractError, BadRequest) as error:
            problem = f"{self.wire.infer} did not answer as its model's metadata say: {error}"
            raise NodeFailed(self.name, problem, Code.BAD_NODE) from None
        return Message(outputs, tags=message.tags)

    async def send_feedback(self, feedback: Feedback, context: Context) -> None:
        """Do nothing: the protocol has no feedback."""

    async def check(self) -> None:
        """Learn the model's signature; raise NodeFailed unless it is ready."""
        answer = await self.remote.ask(self.wire.ready, self.wire.question)
        try:
            if answer.code is not Code.OK or not self.wire.read_ready(answer):
                problem = f"model {self.model} is not ready: {self._describe(self.wire.ready, answer)}"
                raise NodeFailed(self.name, problem, Code.UNAVAILABLE)
            described = await self.remote.ask(self.wire.metadata, self.wire.question)
            if described.code is Code.OK:
                self.signature = read_signature(self.wire.read_metadata(described.content))
            elif described.status not in ("404", "405", "501", "UNIMPLEMENTED"):
                raise NodeFailed(self.name, self._describe(self.wire.metadata, described), Code.UNAVAILABLE)
        except (ContractError, BadRequest) as error:
            raise NodeFailed(self.name, f"the metadata of model {self.model}: {error}", Code.UNAVAILABLE) from None

    async def close(self) -> None:
        """Close the connections."""
        await self.remote.close()

    def _describe(self, action: str, answer: Answer) -> str:
        return f"{action} answered {answer.status}: {self.wire.explain(answer)}"


def read_signature(document: Any) -> Signature | None:
    """Return what metadata say about inputs and outputs; None if they say nothing. Raise ContractError."""
    if not isinstance(document, dict):
        raise ContractError("body", document, "a JSON object")
    inputs, outputs = (_read_side(document.get(side) or [], side) for side in ("inputs", "outputs"))
    return Signature(inputs, outputs) if inputs and outputs else None


def _read_side(tensors: Any, side: str) -> tuple[TensorSpec, ...]:
    if not isinstance(tensors, list) or len(tensors) > MAX_TENSORS:
        raise ContractError(side, tensors, f"a list of at most {MAX_TENSORS} tensors")
    specs: list[TensorSpec] = []
    for index, tensor in enumerate(tensors):
        at = f"{side}[{index}]"
        if not isinstance(tensor, dict):
            raise ContractError(at, tensor, "an object with name, datatype and shape")
        try:
            value = TensorSignature.parse({**tensor, "dtype": tensor.get("datatype")})
        except ContractError as error:
            raise ContractError(f"{at}.{error.field}".replace("dtype", "datatype"), error.got, error.expected) from None
        if value.dtype not in DTYPES:
            raise ContractError(f"{at}.datatype", value.dtype, f"one of {', '.join(DTYPES)}")
        # the protocol has no words for a free number of dimensions; servers say [] then
        dims = tuple(None if size < 0 else size for size in value.shape) or None
        if any(spec.name == value.name for spec in specs):
            raise ContractError(f"{at}.name", Words(repr(value.name)), "unique names")
        specs.append(TensorSpec(value.name, value.dtype, dims))
    return tuple(specs)


def _load(spec: NodeSpec, at: str, resources: Resources) -> OpenInferenceNode:  # noqa: ARG001
    assert spec.endpoint is not None
    model = spec.model_name or spec.name
    if spec.endpoint.type == "REST":
        from .open_inference_rest import build_wire
        from .rest_transport import RestTransport as Transport
    else:
        from .grpc_transport import GrpcTransport as Transport  # type: ignore[assignment]
        from .open_inference_grpc import build_wire
    remote = build_remote(spec, resources.settings, {spec.endpoint.type: Transport})
    return OpenInferenceNode(spec.name, model, remote, build_wire(model))


KIND = NodeKind(_load)
