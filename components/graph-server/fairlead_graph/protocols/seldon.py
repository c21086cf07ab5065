"""Seldon's external protocol over REST: POST /api/v1.0/predictions."""

from typing import Any

import orjson
from fairlead_contracts.errors import ContractError, Words

from ..errors import NodeFailed, RequestFailed, RequestRejected
from ..seldon_message import build_data, parse_message, parse_meta
from ..service import Service
from ..tensors import Message


async def predict(service: Service, body: bytes, puid: str) -> tuple[bytes, str]:
    """Answer a prediction request; return the body and its puid; raise RequestFailed."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestRejected("body", body[:60], f"JSON ({error})") from None
    inputs = service.require_graph().inputs
    if inputs is not None and len(inputs) != 1:
        names = ", ".join(spec.name for spec in inputs)
        raise RequestRejected("data", Words("one tensor"), f"the inputs {names}: use /v2/models for such a graph")
    try:
        message, form = parse_message(document)
        meta = parse_meta(document)
    except ContractError as error:
        raise RequestRejected.from_contract(error) from None
    answer = await service.infer(message, meta.get("puid", puid))
    response = {
        "data": build_data(_only_tensor(service, answer.message), answer.message.columns, form),
        "meta": {
            "puid": answer.run.puid,
            "tags": dict(answer.message.tags),
            "routing": answer.run.routing,
            "requestPath": answer.run.path,
        },
    }
    return orjson.dumps(response, option=orjson.OPT_SERIALIZE_NUMPY), answer.run.puid


def build_failure(error: RequestFailed) -> dict[str, Any]:
    """Build Seldon's failure message."""
    status = {"code": error.status, "info": str(error), "reason": error.reason, "status": "FAILURE"}
    return {"status": status}


def _only_tensor(service: Service, message: Message) -> Any:
    if len(message.tensors) != 1:
        names = ", ".join(message.tensors)
        raise NodeFailed(
            service.spec.graph.name, f"returns {names}; Seldon's message holds one tensor, use /v2/models", 400
        )
    return next(iter(message.tensors.values()))
