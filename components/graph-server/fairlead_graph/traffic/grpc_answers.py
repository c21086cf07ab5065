"""Answers over gRPC as tensors, so that they can be compared."""

from typing import Any

from fairlead_contracts.binary import read_tensor
from fairlead_contracts.errors import ContractError, Words
from fairlead_contracts.json_arrays import flatten_json, parse_array, parse_untyped
from fairlead_contracts.tensors import Array
from google.protobuf.message import DecodeError, Message

from ..protocols.names import GRPC, SELDON_GRPC
from ..protocols.open_inference_pb2 import ModelInferResponse
from ..protocols.seldon_prediction_pb2 import SeldonMessage
from ..seldon_proto import read_rows
from .answers import Answered, Body, check_type


def read_grpc(body: Body, max_bytes: int) -> Answered:
    """Read a ModelInferResponse; raise ContractError."""
    response = _parse(ModelInferResponse, body, max_bytes)
    raw, tensors = response.raw_output_contents, {}
    if not response.outputs or (raw and len(raw) != len(response.outputs)):
        raise ContractError("outputs", Words(f"{len(response.outputs)} and {len(raw)} as bytes"), "at least one")
    for index, output in enumerate(response.outputs):
        at = f"outputs[{index}]"
        datatype, shape = check_type(output.datatype, list(output.shape), at)
        if output.name in tensors:
            raise ContractError(f"{at}.name", output.name, "unique names")
        if raw:
            tensors[output.name] = read_tensor(memoryview(raw[index]), shape, datatype, at)
        else:
            tensors[output.name] = _read_contents(output.contents, datatype, shape, at)
    return Answered(tensors)


def read_seldon_grpc(body: Body, max_bytes: int) -> Answered:
    """Read a SeldonMessage; raise ContractError."""
    message = _parse(SeldonMessage, body, max_bytes)
    form, data = message.WhichOneof("data_oneof"), message.data
    rest, kind = {"names": list(data.names)}, data.WhichOneof("data_oneof")
    if form != "data":
        return Answered({}, {form: getattr(message, form) if form else None})
    if kind == "tensor":
        _, shape = check_type("FP64", list(data.tensor.shape), "data.tensor")
        return Answered({"data": parse_array(list(data.tensor.values), shape, "FP64", "data.tensor", False)}, rest)
    values, shape = flatten_json(read_rows(data.ndarray) if kind else None, "data.ndarray")
    return Answered({"data": parse_untyped(values, shape, "data.ndarray")}, rest)


READERS = {GRPC: read_grpc, SELDON_GRPC: read_seldon_grpc}
"""How the answers of a protocol are read."""


def _parse(kind: type[Message], body: Body, max_bytes: int) -> Any:
    if len(body.content) > max_bytes:
        raise ContractError("message", Words(f"{len(body.content)} bytes"), f"at most {max_bytes}")
    try:
        return kind.FromString(body.content)
    except DecodeError:
        raise ContractError("message", body.content[:20], f"a {kind.DESCRIPTOR.name}") from None


def _read_contents(contents: Any, datatype: str, shape: list[int], at: str) -> Array:
    fields = contents.ListFields()
    if len(fields) > 1:
        raise ContractError(f"{at}.contents", Words(f"{len(fields)} fields"), "one")
    values = list(fields[0][1]) if fields else []
    if datatype == "BYTES":
        values = [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values]
    return parse_array(values, shape, datatype, at, finite=False)
