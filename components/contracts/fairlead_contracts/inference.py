"""Requests and responses of the Open Inference Protocol v2: conversion between parsed JSON and arrays.

The servers encode and decode the JSON bytes themselves. Other contracts use pydantic; this one is written by hand
because it is the hot path and arrays are not JSON.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .errors import ContractError, Words
from .json_arrays import flatten_json, parse_array
from .signature import MAX_DIMS
from .tensors import DTYPES, Array, TensorSpec, check_tensor, datatype_of

MAX_TENSORS, MAX_NAME = 256, 1024
_BINARY = "binary_data_size"
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


def parse_request(
    document: Any, inputs: Sequence[TensorSpec] | None, outputs: Sequence[str] | None
) -> InferenceRequest:
    """Parse a request for a model with these inputs and outputs, or None if unknown; raise ContractError."""
    if not isinstance(document, dict):
        raise ContractError("body", document, "a JSON object with inputs")
    request_id = document.get("id")
    if "id" in document and not (isinstance(request_id, str) and len(request_id) <= MAX_NAME):
        raise ContractError("id", request_id, f"a string of at most {MAX_NAME} characters")
    if not isinstance(document.get("parameters", {}), dict):
        raise ContractError("parameters", document["parameters"], "an object")
    requested = _parse_outputs(document.get("outputs", []), outputs)
    return InferenceRequest(_parse_inputs(document.get("inputs"), inputs), requested, request_id)


class AnswerError(ContractError):
    """An answer cannot be sent: JSON cannot hold a value, or it is too long."""


def build_response(
    model: str, outputs: Mapping[str, Array], request: InferenceRequest, max_bytes: int = 64 << 20
) -> dict[str, Any]:
    """Return the response to a request, with `data` as flat arrays or lists of str; raise ContractError or AnswerError.

    `outputs` are all outputs of the model; a requested output that is not among them is an error of the request.
    """
    for name in request.outputs:
        if name not in outputs:
            raise ContractError("outputs", name, f"one of {', '.join(outputs)}")
    chosen = {name: outputs[name] for name in request.outputs or outputs}
    check_answer(chosen, max_bytes)
    tensors = [build_tensor(name, array) for name, array in chosen.items()]
    response: dict[str, Any] = {"model_name": model, "outputs": tensors}
    if request.id is not None:
        response["id"] = request.id
    return response


def check_answer(outputs: Mapping[str, Array], max_bytes: int) -> None:
    """Raise AnswerError unless JSON of at most about `max_bytes` can hold the outputs."""
    count = sum(array.size for array in outputs.values())
    if count > max_bytes // _MIN_VALUE_BYTES:
        raise AnswerError("outputs", Words(f"{count} values"), f"at most {max_bytes // _MIN_VALUE_BYTES}")
    text = sum(len(value) for array in outputs.values() if array.dtype == object for value in array.flat)
    if text > max_bytes:
        raise AnswerError("outputs", Words(f"{text} characters of text"), f"at most {max_bytes}")
    for name, array in outputs.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            index = int(np.flatnonzero(~np.isfinite(array))[0])
            at = f"output {name}[{index}]"
            raise AnswerError(at, Words(array.flat[index]), "a finite number: JSON has no others")


def build_tensor(name: str, array: Array) -> dict[str, Any]:
    """Return a tensor in V2's format, with flat `data`."""
    data: Any = array.ravel().tolist() if array.dtype == object else array.ravel()
    return {"name": name, "datatype": datatype_of(array), "shape": list(array.shape), "data": data}


def _parse_outputs(outputs: Any, known: Sequence[str] | None) -> list[str]:
    if not isinstance(outputs, list) or len(outputs) > MAX_TENSORS:
        raise ContractError("outputs", outputs, f"a list of at most {MAX_TENSORS}")
    names = []
    for index, output in enumerate(outputs):
        name = output.get("name") if isinstance(output, dict) else output
        if not isinstance(name, str) or (known is not None and name not in known):
            raise ContractError(f"outputs[{index}].name", name, f"one of {', '.join(known)}" if known else "a name")
        if name in names:
            raise ContractError(f"outputs[{index}].name", name, "unique names")
        names.append(name)
    return names


def _parse_inputs(inputs: Any, specs: Sequence[TensorSpec] | None) -> dict[str, Array]:
    if not isinstance(inputs, list) or not inputs:
        raise ContractError("inputs", inputs, "a list of at least one tensor")
    if len(inputs) > MAX_TENSORS:
        raise ContractError("inputs", Words(f"{len(inputs)} tensors"), f"at most {MAX_TENSORS}")
    known = {spec.name: spec for spec in specs} if specs is not None else None
    symbols: dict[str, tuple[int, str]] = {}
    tensors: dict[str, Array] = {}
    for index, value in enumerate(inputs):
        at = f"inputs[{index}]"
        name = _parse_name(value, at, tensors, known)
        tensors[name] = _parse_tensor(value, at, known[name] if known else None, symbols)
    for name in known or ():
        if name not in tensors:
            raise ContractError("inputs", Words(f"{len(inputs)} without {name}"), f"all of {', '.join(known or ())}")
    return tensors


def _parse_name(value: Any, at: str, seen: Mapping[str, Array], known: Mapping[str, TensorSpec] | None) -> str:
    name = value.get("name") if isinstance(value, dict) else None
    if not isinstance(name, str) or name in seen or len(name) > MAX_NAME or (known is not None and name not in known):
        duplicate = isinstance(name, str) and name in seen
        expected = "unique names" if duplicate else f"one of {', '.join(known)}" if known else "a name"
        raise ContractError(f"{at}.name" if isinstance(value, dict) else at, name or value, expected)
    return name


def _parse_tensor(
    value: dict[str, Any], at: str, spec: TensorSpec | None, symbols: dict[str, tuple[int, str]]
) -> Array:
    datatype, shape, parameters = value.get("datatype"), value.get("shape"), value.get("parameters", {})
    if not isinstance(datatype, str) or datatype not in DTYPES:
        raise ContractError(f"{at}.datatype", datatype, f"one of {', '.join(DTYPES)}")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise ContractError(f"{at}.shape", shape, "a list of sizes")
    if len(shape) > MAX_DIMS:
        raise ContractError(f"{at}.shape", Words(f"{len(shape)} dimensions"), f"at most {MAX_DIMS}")
    if not isinstance(parameters, dict) or _BINARY in parameters:
        raise ContractError(
            f"{at}.parameters", parameters, f"an object without {_BINARY}: only JSON tensors are supported"
        )
    if spec is not None:
        # Check this before the data, so that the message names the cause instead of a consequence.
        check_tensor(spec, datatype, shape, f"{at}.", symbols)
    values, nested = flatten_json(value.get("data"), f"{at}.data")
    if len(nested) > 1 and nested != shape and math.prod(nested) == math.prod(shape):
        raise ContractError(f"{at}.data", Words(f"lists of shape {nested}"), f"shape {shape}, or one flat list")
    return parse_array(values, shape, datatype, f"{at}.data")
