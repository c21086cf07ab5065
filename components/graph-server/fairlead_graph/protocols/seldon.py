"""Seldon's external protocol: POST /api/v1.0/predictions and /api/v1.0/feedback, and the same over gRPC."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fairlead_contracts.errors import Words
from fairlead_contracts.inference import check_answer
from fairlead_serving.bodies import check_length, dump_json, parse_json
from fairlead_serving.child import Reply
from fairlead_serving.errors import Code

from ..errors import NodeFailed, RequestRejected
from ..execute import Run
from ..seldon_message import build_data, parse_feedback, parse_message, parse_meta
from ..service import Service
from ..tensors import Message


async def predict(service: Service, head: Mapping[str, Any], body: bytes, run: Run) -> Reply:  # noqa: ARG001
    """Answer a prediction request in JSON; raise ServingError or ContractError."""
    response = await _predict(service, parse_json(body), run)
    return {"puid": run.context.puid}, dump_json(response, service.settings.max_response_bytes)


async def predict_proto(service: Service, head: Mapping[str, Any], body: bytes, run: Run) -> Reply:  # noqa: ARG001
    """Answer a prediction request as a protocol buffer; raise ServingError or ContractError."""
    from .. import seldon_proto  # protobuf's messages, which servers without gRPC do not need

    response = await _predict(service, seldon_proto.decode(body), run)
    content = seldon_proto.encode("predict", response)
    check_length(len(content), service.settings.max_response_bytes)
    return {"puid": run.context.puid}, content


async def send_feedback(service: Service, head: Mapping[str, Any], body: bytes, run: Run) -> Reply:  # noqa: ARG001
    """Pass feedback in JSON on; raise ServingError or ContractError."""
    await service.send_feedback(parse_feedback(parse_json(body)), run)
    return {}, dump_json({"meta": {"puid": run.context.puid}}, service.settings.max_response_bytes)


async def send_feedback_proto(service: Service, head: Mapping[str, Any], body: bytes, run: Run) -> Reply:  # noqa: ARG001
    """Pass feedback as a protocol buffer on; raise ServingError or ContractError."""
    from .. import seldon_proto

    await service.send_feedback(parse_feedback(seldon_proto.decode_feedback(body)), run)
    return {}, seldon_proto.encode_meta({"puid": run.context.puid})


async def _predict(service: Service, document: Any, run: Run) -> dict[str, Any]:
    inputs = service.graph.inputs
    required = [spec for spec in inputs or () if not spec.optional]
    if inputs is not None and len(required) != 1:
        names = ", ".join(spec.name for spec in required)
        raise RequestRejected(
            "data", Words("one tensor"), f"the inputs {names}: use the Open Inference Protocol for such a graph"
        )
    message, form = parse_message(document)
    take_puid(document, run)
    output = await service.infer(message, run)
    return build_answer(service, output, form, run)


def take_puid(document: Any, run: Run) -> None:
    """Use the request's id from a message; raise ContractError."""
    if puid := parse_meta(document).get("puid"):
        run.context = replace(run.context, puid=puid)


def build_answer(service: Service, output: Message, form: str, run: Run) -> dict[str, Any]:
    """Return the message with an output; raise ServingError, or ContractError if it is too large."""
    check_answer(output.tensors, service.settings.max_response_bytes)
    return {
        "data": build_data(_only_tensor(service, output), output.names, form),
        "meta": {
            "puid": run.context.puid,
            "tags": dict(output.tags),
            "routing": run.routing,
            "requestPath": run.path,
        },
    }


def _only_tensor(service: Service, message: Message) -> Any:
    if len(message.tensors) != 1:
        names = ", ".join(message.tensors)
        problem = f"returns {names}; Seldon's message holds one tensor, use the Open Inference Protocol"
        raise NodeFailed(service.spec.graph.name, problem, Code.INVALID)
    return next(iter(message.tensors.values()))
