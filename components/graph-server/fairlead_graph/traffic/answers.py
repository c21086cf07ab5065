"""Answers of both sides as tensors, so that they can be compared. What a route has sent may be anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from fairlead_contracts.binary import BinaryData, read_tensor, split_body
from fairlead_contracts.errors import ContractError
from fairlead_contracts.json_arrays import flatten_json, parse_array, parse_untyped
from fairlead_contracts.tensors import DTYPES, Array, is_shape
from fairlead_serving.bodies import parse_json
from fairlead_serving.compression import decompress
from fairlead_serving.messages import Response

_MAX_TENSORS = 256


@dataclass(frozen=True)
class Body:
    """An answer's bytes, with what the headers say about them."""

    content: bytes
    header_bytes: int | None = None
    encoding: str = ""

    @classmethod
    def from_response(cls, response: Response) -> Self:
        """Return the body of a response over HTTP; raise nothing."""
        headers = dict(response.headers)
        length = headers.get("Inference-Header-Content-Length", "")
        header_bytes = int(length) if length.isdecimal() and length.isascii() and len(length) < 12 else None
        return cls(response.body, header_bytes, headers.get("Content-Encoding", ""))


@dataclass(frozen=True)
class Answered:
    """What an answer says, without the ids of the request and the model's version."""

    tensors: Mapping[str, Array]
    rest: Any = None
    """What else has to be equal."""


def read_v2(body: Body, max_bytes: int) -> Answered:
    """Read an answer of the Open Inference Protocol over REST; raise ContractError or BadRequest."""
    header, binary = split_body(decompress(body.content, body.encoding, max_bytes), body.header_bytes)
    document = parse_json(header)
    outputs = document.get("outputs") if isinstance(document, dict) else None
    if not isinstance(outputs, list) or not 0 < len(outputs) <= _MAX_TENSORS:
        raise ContractError("outputs", outputs, f"1 to {_MAX_TENSORS} tensors")
    tensors: dict[str, Array] = {}
    for index, output in enumerate(outputs):
        at = f"outputs[{index}]"
        if not isinstance(output, dict) or not isinstance(output.get("name"), str) or output["name"] in tensors:
            raise ContractError(at, output, "a tensor with a name of its own")
        tensors[output["name"]] = _read_v2_tensor(output, binary, at)
    return Answered(tensors)


def _read_v2_tensor(output: dict[str, Any], binary: BinaryData, at: str) -> Array:
    datatype, shape = check_type(output.get("datatype"), output.get("shape"), at)
    parameters = output.get("parameters")
    if isinstance(parameters, dict) and "binary_data_size" in parameters:
        return read_tensor(binary.take(parameters["binary_data_size"], at), shape, datatype, at)
    values, _ = flatten_json(output.get("data"), f"{at}.data")
    return parse_array(values, shape, datatype, f"{at}.data")


def check_type(datatype: Any, shape: Any, at: str) -> tuple[str, list[int]]:
    """Return a tensor's data type and shape; raise ContractError."""
    if not isinstance(datatype, str) or datatype not in DTYPES:
        raise ContractError(f"{at}.datatype", datatype, "a data type of V2")
    if not is_shape(shape):
        raise ContractError(f"{at}.shape", shape, "a list of sizes")
    return datatype, shape


def read_seldon(body: Body, max_bytes: int) -> Answered:
    """Read Seldon's message over REST; raise ContractError or BadRequest."""
    document = parse_json(decompress(body.content, body.encoding, max_bytes))
    if not isinstance(document, dict):
        raise ContractError("body", document, "a JSON object")
    rest = {key: value for key, value in document.items() if key not in ("meta", "data")}
    data = document.get("data")
    if not isinstance(data, dict):
        return Answered({}, rest)
    rest["names"] = data.get("names")
    if isinstance(tensor := data.get("tensor"), dict):
        _, shape = check_type("FP64", tensor.get("shape"), "data.tensor")
        return Answered({"data": _read_numbers(tensor.get("values"), shape, "data.tensor.values")}, rest)
    values, shape = flatten_json(data.get("ndarray"), "data.ndarray")
    return Answered({"data": parse_untyped(values, shape, "data.ndarray")}, rest)


def read_tensorflow(body: Body, max_bytes: int) -> Answered:
    """Read an answer of TensorFlow Serving's REST API; raise ContractError or BadRequest."""
    document = parse_json(decompress(body.content, body.encoding, max_bytes))
    if not isinstance(document, dict):
        raise ContractError("body", document, "a JSON object")
    value = document.get("predictions", document.get("outputs"))
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        value = {name: [row.get(name) for row in value] for name in value[0]}
    columns = value if isinstance(value, dict) else {"data": value}
    if len(columns) > _MAX_TENSORS:
        raise ContractError("outputs", len(columns), f"at most {_MAX_TENSORS} tensors")
    tensors = {}
    for name, column in columns.items():
        values, shape = flatten_json(column if isinstance(column, list) else [column], "outputs")
        tensors[name] = parse_untyped(values, shape, "outputs")
    return Answered(tensors)


def _read_numbers(values: Any, shape: Sequence[int], at: str) -> Array:
    if not isinstance(values, list):
        raise ContractError(at, values, "a list")
    return parse_untyped(values, shape, at)
