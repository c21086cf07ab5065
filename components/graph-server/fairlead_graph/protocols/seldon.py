"""Seldon's external protocol over REST: POST /api/v1.0/predictions and /api/v1.0/feedback."""

from collections.abc import Mapping
from typing import Any

from fairlead_contracts.errors import Words
from fairlead_contracts.inference import check_answer
from fairlead_serving.bodies import dump_json, parse_json
from fairlead_serving.child import Reply
from fairlead_serving.errors import Code

from ..errors import NodeFailed, RequestRejected
from ..execute import Run
from ..nodes import Context
from ..seldon_message import build_data, parse_feedback, parse_message, parse_meta
from ..service import Service
from ..tensors import Message


async def predict(service: Service, head: Mapping[str, Any], body: bytes, run: Run) -> Reply:  # noqa: ARG001
    """Answer a prediction request; raise ServingError or ContractError."""
    inputs, limit = service.graph.inputs, service.settings.max_response_bytes
    required = [spec for spec in inputs or () if not spec.optional]
    document = parse_json(body)
    if inputs is not None and len(required) != 1:
        names = ", ".join(spec.name for spec in required)
        raise RequestRejected("data", Words("one tensor"), f"the inputs {names}: use /v2/models for such a graph")
    message, form = parse_message(document)
    meta = parse_meta(document)
    if puid := meta.get("puid"):
        run.context = Context(puid, run.context.deadline)
    output = await service.infer(message, run)
    check_answer(output.tensors, limit)
    response = {
        "data": build_data(_only_tensor(service, output), output.names, form),
        "meta": {
            "puid": run.context.puid,
            "tags": dict(output.tags),
            "routing": run.routing,
            "requestPath": run.path,
        },
    }
    return {"puid": run.context.puid}, dump_json(response, limit)


async def send_feedback(service: Service, head: Mapping[str, Any], body: bytes, run: Run) -> Reply:  # noqa: ARG001
    """Pass feedback on; raise ServingError or ContractError."""
    await service.send_feedback(parse_feedback(parse_json(body)), run)
    return {}, dump_json({"meta": {"puid": run.context.puid}}, service.settings.max_response_bytes)


def _only_tensor(service: Service, message: Message) -> Any:
    if len(message.tensors) != 1:
        names = ", ".join(message.tensors)
        raise NodeFailed(
            service.spec.graph.name, f"returns {names}; Seldon's message holds one tensor, use /v2/models", Code.INVALID
        )
    return next(iter(message.tensors.values()))
