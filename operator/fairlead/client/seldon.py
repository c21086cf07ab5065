"""Requests to a ModelDeployment that Seldon Core serves: V2 requests and answers, as Seldon's messages."""

from collections.abc import Sequence
from typing import Any

from fairlead.client.errors import Rejected
from fairlead.client.inference import Send
from fairlead.client.objects import Object

_PREDICTIONS = "/api/v1.0/predictions"


def predict(inputs: Object | Sequence[Any], send: Send) -> Object:
    """Send a V2 request with one tensor, or rows of values; return the answer as a V2 response.

    Raises Rejected if the request has several tensors, or if the answer is none of numbers.
    """
    return read_message(send("POST", _PREDICTIONS, build_message(inputs)))


def build_message(inputs: Object | Sequence[Any]) -> Object:
    """Return Seldon's message for a V2 request, or for rows of values; raises Rejected."""
    if not isinstance(inputs, dict):
        return {"data": {"ndarray": list(inputs)}}
    tensors = inputs.get("inputs")
    if not isinstance(tensors, list) or len(tensors) != 1:
        raise Rejected("inputs: expected one tensor, because Seldon's message holds one")
    (tensor,) = tensors
    if not isinstance(tensor, dict) or not isinstance(tensor.get("shape"), list) or "data" not in tensor:
        raise Rejected("inputs[0]: expected a tensor with shape and data")
    return {"data": {"tensor": {"shape": tensor["shape"], "values": _flatten(tensor["data"])}}}


def read_message(message: object) -> Object:
    """Return Seldon's message as a V2 response; raises Rejected."""
    data = message.get("data") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(data, dict):
        raise Rejected("got an answer without data, expected data.ndarray or data.tensor")
    tensor, rows = data.get("tensor"), data.get("ndarray")
    if isinstance(tensor, dict) and isinstance(tensor.get("shape"), list) and isinstance(tensor.get("values"), list):
        shape, values = tensor["shape"], tensor["values"]
    elif isinstance(rows, list):
        shape, values = _shape(rows), _flatten(rows)
    else:
        raise Rejected(f"data: got {sorted(data)}, expected ndarray, or tensor with shape and values")
    if not all(type(value) in (int, float) for value in values):
        raise Rejected("data: got other values than numbers; send Seldon's message to the deployment's URL yourself")
    output = {"name": "output", "datatype": "FP64", "shape": list(shape), "data": values}
    return {"model_name": "", "outputs": [output], "parameters": {"meta": message.get("meta", {})}}


def _flatten(values: Any) -> list[Any]:
    return [item for each in values for item in _flatten(each)] if isinstance(values, list) else [values]


def _shape(values: Any) -> list[int]:
    return [len(values), *(_shape(values[0]) if values else [])] if isinstance(values, list) else []
