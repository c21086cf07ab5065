"""Requests and responses of the Open Inference Protocol v2: conversion between parsed JSON and arrays.

The servers encode and decode the JSON bytes themselves. Other contracts use pydantic; this one is written by hand
because it is the hot path and arrays are not JSON.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .binary import BinaryData, read_tensor, write_tensor
from .errors import ContractError, Words
from .json_arrays import flatten_json, parse_array
from .request_tensors import MAX_NAME, MAX_TENSORS, RequestTensors
from .tensors import Array, TensorSpec, datatype_of, is_finite, is_float, widen

_BINARY, _AS_BINARY, _ALL_AS_BINARY = "binary_data_size", "binary_data", "binary_data_output"
_MIN_VALUE_BYTES = 4
"""A value and its comma in JSON, on average at least."""


class InferenceRequest(NamedTuple):
    """A request that matches the model's signature."""

    tensors: Mapping[str, Array]
    """The inputs by name."""
    outputs: Sequence[str]
    """The names of the requested outputs; all outputs if empty."""
    id: str | None
    """The request's id, repeated in the response."""
    binary: bool = False
    """Whether outputs are requested as bytes, unless `formats` says otherwise."""
    formats: Mapping[str, bool] = {}
    """Whether an output of this name is requested as bytes."""


class InferenceResponse(NamedTuple):
    """A response: the JSON document, and the bytes after it of the outputs that were requested as bytes."""

    document: dict[str, Any]
    binary: Sequence[bytes] = ()


def parse_request(
    document: Any,
    inputs: Sequence[TensorSpec] | None,
    outputs: Sequence[str] | None,
    binary: BinaryData | None = None,
) -> InferenceRequest:
    """Parse a request for a model with these inputs and outputs, or None if unknown; raise ContractError.

    `binary` is what follows the JSON header, for servers that accept binary tensors.
    """
    if not isinstance(document, dict):
        raise ContractError("body", document, "a JSON object with inputs")
    request_id = document.get("id")
    if "id" in document and not (isinstance(request_id, str) and len(request_id) <= MAX_NAME):
        raise ContractError("id", request_id, f"a string of at most {MAX_NAME} characters")
    as_binary = _parse_flag(document, _ALL_AS_BINARY, "")
    requested, formats = parse_outputs(document.get("outputs", []), outputs)
    if binary is None and (as_binary or any(formats.values())):
        raise ContractError("parameters", Words("outputs as binary data"), "outputs as JSON")
    tensors = _parse_tensors(document.get("inputs"), inputs, binary)
    if binary is not None:
        binary.check_end()
    return InferenceRequest(tensors, requested, request_id, bool(as_binary), formats)


def parse_answer(document: Any, outputs: Sequence[TensorSpec] | None) -> Mapping[str, Array]:
    """Parse another server's answer, whose outputs are these, or None if unknown; raise ContractError."""
    if not isinstance(document, dict):
        raise ContractError("body", document, "a JSON object with outputs")
    return _parse_tensors(document.get("outputs"), outputs, None, "outputs")


class AnswerError(ContractError):
    """An answer cannot be sent: JSON cannot hold a value, or it is too long."""


def build_response(
    model: str,
    outputs: Mapping[str, Array],
    request: InferenceRequest,
    max_bytes: int = 64 << 20,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
) -> InferenceResponse:
    """Return the response to a request, with `data` as flat arrays or lists of str; raise ContractError or AnswerError.

    `outputs` are all outputs of the model; a requested output that is not among them is an error of the request.
    `parameters` are those of outputs, by name.
    """
    chosen = choose_outputs(outputs, request.outputs)
    raw = {name: array for name, array in chosen.items() if request.formats.get(name, request.binary)}
    check_answer({name: array for name, array in chosen.items() if name not in raw} if raw else chosen, max_bytes)
    binary = _encode(raw, max_bytes) if raw else {}
    tensors = []
    for name, array in chosen.items():
        tensor = describe_tensor(name, array) if name in raw else build_tensor(name, array)
        own = dict(parameters.get(name, ())) if parameters else {}
        if name in raw:
            own[_BINARY] = len(binary[name])
        if own:
            tensor["parameters"] = own
        tensors.append(tensor)
    response: dict[str, Any] = {"model_name": model, "outputs": tensors}
    if request.id is not None:
        response["id"] = request.id
    return InferenceResponse(response, list(binary.values()))


def choose_outputs(outputs: Mapping[str, Array], names: Sequence[str]) -> dict[str, Array]:
    """Return the outputs of these names, or all if there are none; raise ContractError."""
    for name in names:
        if name not in outputs:
            raise ContractError("outputs", name, f"one of {', '.join(outputs)}")
    return {name: outputs[name] for name in names or outputs}


def _encode(outputs: Mapping[str, Array], max_bytes: int) -> dict[str, bytes]:
    """Return the outputs' bytes; raise AnswerError, before they are built, if they are too many."""
    check_size(outputs, max_bytes)
    return {name: write_tensor(array) for name, array in outputs.items()}


def check_size(outputs: Mapping[str, Array], max_bytes: int) -> None:
    """Raise AnswerError if the outputs have more bytes; of texts, as many as UTF-8 could need."""
    size = sum(
        sum(4 + 4 * len(value) for value in array.flat) if array.dtype == object else array.nbytes
        for array in outputs.values()
    )
    if size > max_bytes:
        raise AnswerError("outputs", Words(f"{size} bytes"), f"at most {max_bytes}")


def check_count(outputs: Mapping[str, Array], max_bytes: int) -> None:
    """Raise AnswerError if the outputs have more values than are converted one by one for an answer of `max_bytes`."""
    count = 0
    for array in outputs.values():
        count += array.size
    if count > max_bytes // _MIN_VALUE_BYTES:
        raise AnswerError("outputs", Words(f"{count} values"), f"at most {max_bytes // _MIN_VALUE_BYTES}")


def check_answer(outputs: Mapping[str, Array], max_bytes: int) -> None:
    """Raise AnswerError unless JSON of at most about `max_bytes` can hold the outputs."""
    check_count(outputs, max_bytes)
    text = 0
    for name, array in outputs.items():
        if array.dtype == object:
            text += sum(map(len, array.flat))
            if text > max_bytes:
                raise AnswerError("outputs", Words(f"{text} characters of text"), f"at most {max_bytes}")
        elif is_float(array.dtype) and not is_finite(array):
            index = int(np.flatnonzero(~np.isfinite(array))[0])
            at = f"output {name}[{index}]"
            raise AnswerError(at, Words(array.flat[index]), "a finite number: JSON has no others")


def build_tensor(name: str, array: Array) -> dict[str, Any]:
    """Return a tensor in V2's format, with flat `data`."""
    data: Any = array.ravel().tolist() if array.dtype == object else widen(array).ravel()
    return {**describe_tensor(name, array), "data": data}


def describe_tensor(name: str, array: Array) -> dict[str, Any]:
    """Return a tensor in V2's format, without its data."""
    return {"name": name, "datatype": datatype_of(array), "shape": list(array.shape)}


def _parse_flag(value: Mapping[str, Any], name: str, at: str) -> bool | None:
    """Return a flag among the parameters, or None."""
    parameters = value.get("parameters", {})
    if not isinstance(parameters, dict):
        raise ContractError(f"{at}parameters", parameters, "an object")
    flag = parameters.get(name)
    if flag is not None and not isinstance(flag, bool):
        raise ContractError(f"{at}parameters.{name}", flag, "true or false")
    return flag


def parse_outputs(outputs: Any, known: Sequence[str] | None) -> tuple[list[str], dict[str, bool]]:
    """Return the names of the requested outputs, and whether each is requested as bytes, by name."""
    if not isinstance(outputs, list) or len(outputs) > MAX_TENSORS:
        raise ContractError("outputs", outputs, f"a list of at most {MAX_TENSORS}")
    names, formats = [], {}
    for index, output in enumerate(outputs):
        name = output.get("name") if isinstance(output, dict) else output
        if not isinstance(name, str) or (known is not None and name not in known):
            raise ContractError(f"outputs[{index}].name", name, f"one of {', '.join(known)}" if known else "a name")
        if name in names:
            raise ContractError(f"outputs[{index}].name", name, "unique names")
        if isinstance(output, dict) and (flag := _parse_flag(output, _AS_BINARY, f"outputs[{index}].")) is not None:
            formats[name] = flag
        names.append(name)
    return names, formats


def _parse_tensors(
    values: Any, specs: Sequence[TensorSpec] | None, binary: BinaryData | None, side: str = "inputs"
) -> dict[str, Array]:
    if not isinstance(values, list) or not values:
        raise ContractError(side, values, "a list of at least one tensor")
    tensors = RequestTensors(len(values), specs, side)
    for index, value in enumerate(values):
        at = f"{side}[{index}]"
        if not isinstance(value, dict):
            raise ContractError(at, value, "an object with name, datatype, shape and data")
        name = tensors.check_name(value.get("name"), f"{at}.name")
        parameters = value.get("parameters", {})
        if not isinstance(parameters, dict) or (binary is None and _BINARY in parameters):
            expected = "an object" if binary else f"an object without {_BINARY}: only JSON tensors are supported"
            raise ContractError(f"{at}.parameters", parameters, expected)
        tensors.check_type(name, value.get("datatype"), value.get("shape"), at)
        tensors.add(name, _parse_data(value, at, parameters, binary))
    return tensors.finish()


def _parse_data(value: dict[str, Any], at: str, parameters: dict[str, Any], binary: BinaryData | None) -> Array:
    """Return the data of a tensor whose data type and shape are checked."""
    datatype, shape = value["datatype"], value["shape"]
    if binary is not None and _BINARY in parameters:
        if "data" in value:
            raise ContractError(f"{at}.data", Words("data"), f"none next to {_BINARY}")
        data = binary.take(parameters[_BINARY], f"{at}.parameters.{_BINARY}")
        return read_tensor(data, shape, datatype, at)
    values, nested = flatten_json(value.get("data"), f"{at}.data")
    if len(nested) > 1 and nested != shape and math.prod(nested) == math.prod(shape):
        raise ContractError(f"{at}.data", Words(f"lists of shape {nested}"), f"shape {shape}, or one flat list")
    return parse_array(values, shape, datatype, f"{at}.data")
