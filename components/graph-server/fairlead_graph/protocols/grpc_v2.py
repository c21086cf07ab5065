"""Open Inference Protocol v2 over gRPC, in the model process: from a ModelInferRequest's bytes to a response's."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from fairlead_contracts.binary import read_tensor, write_tensor
from fairlead_contracts.errors import ContractError, Words
from fairlead_contracts.inference import check_count, check_size, choose_outputs, parse_outputs
from fairlead_contracts.json_arrays import parse_array
from fairlead_contracts.request_tensors import MAX_NAME, RequestTensors
from fairlead_contracts.tensors import Array, TensorSpec, datatype_of
from fairlead_serving.bodies import check_length
from fairlead_serving.child import Reply
from fairlead_serving.errors import check_served
from google.protobuf.message import DecodeError

from ..errors import RequestRejected
from ..execute import Run
from ..service import Service
from ..tensors import Message
from .open_inference_pb2 import InferTensorContents, ModelInferRequest, ModelInferResponse
from .v2 import dump_labels

_CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""The field that holds the values of a data type; other types exist only as raw bytes."""


async def infer(service: Service, head: Mapping[str, Any], body: bytes, run: Run) -> Reply:  # noqa: ARG001
    """Answer a ModelInfer request; raise ServingError or ContractError."""
    graph, limit = service.graph, service.settings.max_response_bytes
    try:
        request = ModelInferRequest.FromString(body)
    except DecodeError:
        raise RequestRejected("message", body[:20], "a ModelInferRequest") from None
    check_served("model_name", request.model_name, service.spec.deployment)
    check_served("model_version", request.model_version or service.version, service.version)
    if len(request.id) > MAX_NAME:
        raise ContractError("id", request.id, f"at most {MAX_NAME} characters")
    names, _ = parse_outputs([item.name for item in request.outputs], None)
    tensors = read_tensors(request.inputs, request.raw_input_contents, graph.inputs)
    output = await service.infer(Message(tensors), run)
    chosen = choose_outputs(output.tensors, names)
    response = ModelInferResponse(model_name=request.model_name, model_version=service.version, id=request.id)
    _write_outputs(response, chosen, bool(request.raw_input_contents), limit)
    for tensor in response.outputs:
        if labels := output.labels.get(tensor.name):
            tensor.parameters["labels"].string_param = dump_labels(labels)
    check_length(response.ByteSize(), limit)
    return {}, response.SerializeToString()


def read_tensors(
    values: Sequence[Any], raw: Sequence[bytes], specs: Sequence[TensorSpec] | None, side: str = "input"
) -> dict[str, Array]:
    """Return the inputs of a request, or the outputs of another server's answer; raise ContractError."""
    count, raw_field = len(values), f"raw_{side}_contents"
    if not count:
        raise ContractError(f"{side}s", Words("none"), "at least one tensor")
    if raw and len(raw) != count:
        raise ContractError(raw_field, Words(f"{len(raw)} of them"), f"{count}, one per {side}, or none")
    tensors = RequestTensors(count, specs, f"{side}s")
    for index, value in enumerate(values):
        at = f"{side}s[{index}]"
        name, shape = tensors.check_name(value.name, f"{at}.name"), list(value.shape)
        tensors.check_type(name, value.datatype, shape, at)
        if not raw:
            array = _read_contents(value.contents, value.datatype, shape, f"{at}.contents", raw_field)
        elif value.contents.ListFields():  # MLServer sets it, without values
            raise ContractError(f"{at}.contents", Words("values"), f"none next to {raw_field}")
        else:
            array = read_tensor(memoryview(raw[index]), shape, value.datatype, f"{raw_field}[{index}]")
        tensors.add(name, array)
    return tensors.finish()


def _read_contents(contents: InferTensorContents, datatype: str, shape: list[int], at: str, raw_field: str) -> Array:
    """Return the values of the one field that belongs to the data type."""
    field = _CONTENTS.get(datatype)
    if field is None:
        raise ContractError(at, Words("values"), f"{raw_field}: {datatype} has no other form")
    if other := [set_.name for set_, _ in contents.ListFields() if set_.name != field]:
        raise ContractError(at, other[0], f"{field} for {datatype}")
    values = list(getattr(contents, field))
    if datatype == "BYTES":
        values = [_decode(value, f"{at}[{index}]") for index, value in enumerate(values)]
    return parse_array(values, shape, datatype, at, finite=False)


def _decode(value: bytes, at: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ContractError(at, Words("bytes"), "UTF-8") from None


def _write_outputs(response: ModelInferResponse, outputs: Mapping[str, Array], raw: bool, limit: int) -> None:
    """Add the outputs in the form of the inputs; types that have no field make all of them raw. Raise AnswerError."""
    raw = raw or any(datatype_of(array) not in _CONTENTS for array in outputs.values())
    check_size(outputs, limit)
    if not raw:  # a negative INT8 has ten bytes as contents, and more as an object before
        check_count(outputs, limit)
    for name, array in outputs.items():
        datatype = datatype_of(array)
        tensor = response.outputs.add(name=name, datatype=datatype, shape=array.shape)
        if raw:
            response.raw_output_contents.append(write_tensor(array))
            continue
        flat = array.ravel()
        values = [str(value).encode() for value in flat] if datatype == "BYTES" else np.asarray(flat).tolist()
        getattr(tensor.contents, _CONTENTS[datatype]).extend(values)
