"""Open Inference Protocol v2 over REST, with JSON tensors."""

from typing import Any

import orjson
from fairlead_contracts.errors import ContractError
from fairlead_contracts.inference import build_response, parse_request

from .. import __version__
from ..errors import RequestRejected
from ..graph import Graph
from ..service import Service
from ..tensors import Message

SERVER = {"name": "fairlead-graph-server", "version": __version__, "extensions": []}


async def infer(service: Service, model: str, body: bytes) -> bytes:
    """Answer an inference request; raise RequestFailed."""
    graph = service.require_graph()
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestRejected("body", body[:60], f"JSON ({error})") from None
    outputs = None if graph.outputs is None else [spec.name for spec in graph.outputs]
    try:
        request = parse_request(document, graph.inputs, outputs)
        answer = await service.infer(Message(request.tensors))
        response = build_response(model, answer.message.tensors, request)
    except ContractError as error:
        raise RequestRejected.from_contract(error) from None
    return orjson.dumps(response, option=orjson.OPT_SERIALIZE_NUMPY)


def describe_model(model: str, graph: Graph) -> dict[str, Any]:
    """Build the metadata of the whole graph as one model."""
    return {
        "name": model,
        "versions": [],
        "platform": "fairlead_graph",
        "inputs": [spec.describe() for spec in graph.inputs or ()],
        "outputs": [spec.describe() for spec in graph.outputs or ()],
    }
