"""Open Inference Protocol v2 over REST, with JSON tensors."""

from typing import Any

from fairlead_contracts.errors import ContractError
from fairlead_contracts.inference import AnswerError, build_response, parse_request
from fairlead_serving.bodies import dump_json, parse_json
from fairlead_serving.errors import Unprocessable

from ..errors import RequestRejected
from ..execute import Run
from ..graph import Graph
from ..service import Service
from ..tensors import Message


async def infer(service: Service, model: str, body: bytes, run: Run) -> bytes:
    """Answer an inference request; raise ServingError."""
    graph, limit = service.graph, service.settings.max_response_bytes
    outputs = None if graph.outputs is None else [spec.name for spec in graph.outputs]
    try:
        request = parse_request(parse_json(body), graph.inputs, outputs)
        output = await service.infer(Message(request.tensors), run)
        response = build_response(model, output.tensors, request, limit)
    except AnswerError as error:
        raise Unprocessable(str(error)) from None
    except ContractError as error:
        raise RequestRejected.from_contract(error) from None
    return dump_json(response, limit)


def describe_model(model: str, graph: Graph, version: str) -> dict[str, Any]:
    """Build the metadata of the whole graph as one model."""
    return {
        "name": model,
        "versions": [version],
        "platform": "fairlead_graph",
        "inputs": [spec.describe() for spec in graph.inputs or ()],
        "outputs": [spec.describe() for spec in graph.outputs or ()],
    }
