"""Open Inference Protocol v2 over REST: JSON tensors in and out."""

import math
from collections.abc import Sequence
from typing import Any

import orjson

from .. import __version__
from ..errors import RequestRefused, Words
from ..graph import Graph, Specs
from ..json_arrays import flatten_json, parse_array
from ..service import Service
from ..tensors import DTYPES, Array, Message, TensorSpec, check_tensor, datatype_of

SERVER = {"name": "fairlead-graph-server", "version": __version__, "extensions": []}
_BINARY = "binary_data_size"


async def infer(service: Service, model: str, body: bytes) -> bytes:
    """Answer an inference request; raise RequestFailed."""
    graph = service.require_graph()
    document = _parse_body(body)
    wanted = _parse_outputs(document, graph.outputs)
    answer = await service.infer(Message(_parse_inputs(document, graph.inputs)))
    tensors = answer.message.tensors
    missing = [name for name in wanted if name not in tensors]
    if missing:
        raise RequestRefused("outputs", missing[0], f"one of {', '.join(tensors)}")
    outputs = [_build_output(name, tensors[name]) for name in wanted or tensors]
    response: dict[str, Any] = {"model_name": model, "outputs": outputs}
    if "id" in document:
        response["id"] = document["id"]
    return orjson.dumps(response, option=orjson.OPT_SERIALIZE_NUMPY)


def describe_model(model: str, graph: Graph) -> dict[str, Any]:
    """Build the metadata of the whole graph as one model."""
    return {
        "name": model,
        "versions": [],
        "platform": "fairlead_graph",
        "inputs": _describe(graph.inputs),
        "outputs": _describe(graph.outputs),
    }


def _describe(specs: Specs) -> list[dict[str, Any]]:
    return [{"name": spec.name, "datatype": spec.datatype, "shape": spec.shape} for spec in specs or ()]


def _parse_body(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestRefused("body", body[:60], f"JSON ({error})") from None
    if not isinstance(document, dict):
        raise RequestRefused("body", document, "a JSON object with inputs")
    if "id" in document and not isinstance(document["id"], str):
        raise RequestRefused("id", document["id"], "a string")
    if not isinstance(document.get("parameters", {}), dict):
        raise RequestRefused("parameters", document["parameters"], "an object")
    return document


def _parse_outputs(document: dict[str, Any], specs: Specs) -> list[str]:
    """Return the names of the outputs that are asked for; none: all."""
    outputs = document.get("outputs", [])
    if not isinstance(outputs, list):
        raise RequestRefused("outputs", outputs, "a list")
    names = []
    for index, output in enumerate(outputs):
        name = output.get("name") if isinstance(output, dict) else output
        known = [spec.name for spec in specs] if specs is not None else None
        if not isinstance(name, str) or (known is not None and name not in known):
            raise RequestRefused(f"outputs[{index}].name", name, f"one of {', '.join(known)}" if known else "a name")
        names.append(name)
    return names


def _parse_inputs(document: dict[str, Any], specs: Specs) -> dict[str, Array]:
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise RequestRefused("inputs", inputs, "a list with one tensor or more")
    known = {spec.name: spec for spec in specs} if specs is not None else None
    symbols: dict[str, tuple[int, str]] = {}
    tensors: dict[str, Array] = {}
    for index, value in enumerate(inputs):
        at = f"inputs[{index}]"
        name = value.get("name") if isinstance(value, dict) else None
        if not isinstance(name, str) or name in tensors or (known is not None and name not in known):
            expected = "each name once" if name in tensors else f"one of {', '.join(known)}" if known else "a name"
            raise RequestRefused(f"{at}.name" if isinstance(value, dict) else at, name or value, expected)
        tensors[name] = _parse_input(value, at, known[name] if known else None, symbols)
    for name in known or ():
        if name not in tensors:
            raise RequestRefused("inputs", Words(f"{len(inputs)} without {name}"), f"all of {', '.join(known or ())}")
    return tensors


def _parse_input(value: dict[str, Any], at: str, spec: TensorSpec | None, symbols: dict[str, tuple[int, str]]) -> Array:
    datatype, shape, parameters = value.get("datatype"), value.get("shape"), value.get("parameters", {})
    if datatype not in DTYPES:
        raise RequestRefused(f"{at}.datatype", datatype, f"one of {', '.join(DTYPES)}")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise RequestRefused(f"{at}.shape", shape, "a list of sizes")
    if not isinstance(parameters, dict) or _BINARY in parameters:
        raise RequestRefused(f"{at}.parameters", parameters, f"an object without {_BINARY}: tensors come as JSON")
    if spec is not None:
        # Before the data is looked at, so that the message names what is wrong and not what follows from it.
        check_tensor(spec, datatype, shape, f"{at}.", symbols)
    values, nested = flatten_json(value.get("data"), f"{at}.data")
    if len(nested) > 1 and nested != shape and math.prod(nested) == math.prod(shape):
        raise RequestRefused(f"{at}.data", Words(f"lists of shape {nested}"), f"shape {shape}, or one flat list")
    return parse_array(values, shape, datatype, f"{at}.data")


def _build_output(name: str, array: Array) -> dict[str, Any]:
    data: Sequence[Any] | Array = array.ravel().tolist() if array.dtype == object else array.ravel()
    return {"name": name, "datatype": datatype_of(array), "shape": list(array.shape), "data": data}
