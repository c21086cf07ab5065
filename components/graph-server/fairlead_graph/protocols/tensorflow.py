"""TensorFlow Serving's REST API: POST /v1/models/{model}:predict, in rows (`instances`) or columns (`inputs`).

Reference: TensorFlow Serving, RESTful API, "Predict API". Values have no data types of their own; the model's apply.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from fairlead_contracts.errors import ContractError, Words
from fairlead_contracts.inference import check_answer
from fairlead_contracts.tensors import Array, TensorSpec
from fairlead_serving.bodies import dump_json, parse_json
from fairlead_serving.child import Reply
from fairlead_serving.errors import Code

from ..errors import NodeFailed
from ..execute import Run
from ..seldon_message import parse_nested
from ..service import Service
from ..tensors import Message, Tensors

_SIGNATURE = "serving_default"
_ROWS, _COLUMNS = "instances", "inputs"


async def predict(service: Service, head: Mapping[str, Any], body: bytes, run: Run) -> Reply:  # noqa: ARG001
    """Answer a prediction request in the form in which it came; raise ServingError or ContractError."""
    limit = service.settings.max_response_bytes
    document = parse_json(body)
    if not isinstance(document, dict):
        raise ContractError("body", document, "a JSON object")
    if (_ROWS in document) == (_COLUMNS in document):
        raise ContractError("body", sorted(document), f"{_ROWS} or {_COLUMNS}")
    if (signature := document.get("signature_name", _SIGNATURE)) != _SIGNATURE:
        raise ContractError("signature_name", signature, _SIGNATURE)
    parse = _parse_rows if _ROWS in document else _parse_columns
    tensors = parse(document, service.graph.inputs)
    output = await service.infer(Message(tensors, typed=False), run)
    check_answer(output.tensors, limit)
    build = _build_rows if _ROWS in document else _build_columns
    return {}, dump_json(build(service, output.tensors), limit)


def _parse_rows(document: Mapping[str, Any], inputs: Sequence[TensorSpec] | None) -> Tensors:
    rows = document[_ROWS]
    if not isinstance(rows, list) or not rows:
        raise ContractError(_ROWS, rows, "a list with at least one instance")
    if not isinstance(rows[0], dict):
        return {_only_name(inputs, _ROWS): parse_nested(rows, _ROWS)}
    names = rows[0].keys()
    for index, row in enumerate(rows):
        if not isinstance(row, dict) or row.keys() != names:
            expected = f"an object with the fields {', '.join(sorted(names))}, as the first one"
            raise ContractError(f"{_ROWS}[{index}]", row, expected)
    return {name: parse_nested([row[name] for row in rows], f"{_ROWS}[].{name}") for name in names}


def _parse_columns(document: Mapping[str, Any], inputs: Sequence[TensorSpec] | None) -> Tensors:
    columns = document[_COLUMNS]
    if not isinstance(columns, dict):
        return {_only_name(inputs, _COLUMNS): parse_nested(columns, _COLUMNS)}
    if not columns:
        raise ContractError(_COLUMNS, columns, "at least one input")
    return {name: parse_nested(value, f"{_COLUMNS}.{name}") for name, value in columns.items()}


def _only_name(inputs: Sequence[TensorSpec] | None, at: str) -> str:
    """Return the name of the input that values without a name are for."""
    required = [spec.name for spec in inputs or () if not spec.optional]
    if len(required) > 1:
        raise ContractError(at, Words("values without names"), f"the inputs {', '.join(required)} by name")
    return required[0] if required else "data"


def _build_rows(service: Service, outputs: Tensors) -> dict[str, Any]:
    """Return the predictions: one value a row, or an object a row if there are several outputs."""
    sizes = {array.shape[0] if array.ndim else None for array in outputs.values()}
    if len(sizes) != 1 or None in sizes:
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in outputs.items())
        problem = f"returns {shapes}, which have no common rows; send {_COLUMNS} instead of {_ROWS}"
        raise NodeFailed(service.spec.graph.name, problem, Code.INVALID)
    if len(outputs) == 1:
        return {"predictions": _values(next(iter(outputs.values())))}
    columns = {name: array.tolist() for name, array in outputs.items()}
    rows = zip(*columns.values(), strict=True)
    return {"predictions": [dict(zip(columns, row, strict=True)) for row in rows]}


def _build_columns(service: Service, outputs: Tensors) -> dict[str, Any]:  # noqa: ARG001 - as _build_rows
    """Return the outputs: one value, or an object of them."""
    values = {name: _values(array) for name, array in outputs.items()}
    return {"outputs": next(iter(values.values())) if len(values) == 1 else values}


def _values(array: Array) -> Any:
    return array.tolist() if array.dtype == object or array.ndim == 0 else np.ascontiguousarray(array)
