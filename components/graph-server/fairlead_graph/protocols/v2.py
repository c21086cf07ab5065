"""Open Inference Protocol v2 over REST, with tensors as JSON or as bytes after it."""

import json
from collections.abc import Mapping
from typing import Any

from fairlead_contracts.binary import split_body
from fairlead_contracts.devices import DeviceFacts
from fairlead_contracts.inference import build_response, parse_request
from fairlead_serving.bodies import dump_answer, parse_json
from fairlead_serving.child import Reply

from ..execute import Run
from ..graph import Graph
from ..nodes.cuda import has_cuda
from ..service import Service
from ..tensors import Labels, Message


async def infer(service: Service, head: Mapping[str, Any], body: bytes, run: Run) -> Reply:
    """Answer an inference request; raise ServingError or ContractError."""
    graph, limit = service.graph, service.settings.max_response_bytes
    outputs = None if graph.outputs is None else [spec.name for spec in graph.outputs]
    header, binary = split_body(body, head.get("header_bytes"))
    request = parse_request(parse_json(header), graph.inputs, outputs, binary)
    output = await service.infer(Message(request.tensors, checked=graph.inputs), run)
    labels = {name: {"labels": dump_labels(labels)} for name, labels in output.labels.items()}
    response = build_response(service.spec.deployment, output.tensors, request, limit, labels)
    return dump_answer(response.document, response.binary, limit)


def dump_labels(labels: Labels) -> str:
    """Return class labels as the protocol can say them: parameters are texts, numbers or booleans, not lists."""
    return json.dumps(list(labels), ensure_ascii=False)


def describe_model(model: str, graph: Graph, version: str, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Build the metadata of the whole graph as one model."""
    metadata: dict[str, Any] = {
        "name": model,
        "versions": [version],
        "platform": "fairlead_graph",
        "inputs": [spec.describe() for spec in graph.inputs or () if not spec.optional],
        "outputs": [spec.describe() for spec in graph.outputs or ()],
    }
    return metadata | ({"parameters": dict(parameters)} if parameters else {})


def describe_devices(devices: DeviceFacts) -> dict[str, str]:
    """Return where models run, as parameters; empty if ONNX Runtime knows the CPU alone."""
    if not has_cuda():
        return {}
    providers = {each.node: each.provider for each in devices.nodes}
    problem = next((each.problem for each in devices.nodes if each.problem), None)
    named = {"execution_providers": json.dumps(providers, ensure_ascii=False)}
    return named | ({"cuda_problem": problem} if problem else {})
