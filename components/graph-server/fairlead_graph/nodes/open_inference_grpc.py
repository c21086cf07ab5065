"""The Open Inference Protocol v2 over gRPC, as its client speaks it: tensors as raw bytes."""

from collections.abc import Mapping
from typing import Any

from fairlead_contracts.binary import write_tensor
from fairlead_contracts.errors import ContractError
from fairlead_contracts.tensors import datatype_of
from google.protobuf.message import DecodeError, Message

from ..protocols.grpc_v2 import read_tensors
from ..protocols.open_inference_pb2 import (
    ModelInferRequest,
    ModelInferResponse,
    ModelMetadataRequest,
    ModelMetadataResponse,
    ModelReadyResponse,
)
from ..tensors import Tensors
from .open_inference import Specs, Wire

_SERVICE = "/inference.GRPCInferenceService"


def build_wire(model: str) -> Wire:
    """Return the actions and bodies for a model."""
    return Wire(
        ready=f"{_SERVICE}/ModelReady", metadata=f"{_SERVICE}/ModelMetadata", infer=f"{_SERVICE}/ModelInfer",
        question=ModelMetadataRequest(name=model).SerializeToString(),  # the other's request has the same fields
        encode=lambda tensors: _encode(model, tensors), decode=_decode,
        read_ready=lambda answer: bool(_parse(ModelReadyResponse, answer.content).ready), read_metadata=_read_metadata,
        explain=lambda answer: answer.text or "not ready",
    )  # fmt: skip


def _encode(model: str, tensors: Tensors) -> bytes:
    request = ModelInferRequest(model_name=model)
    for name, array in tensors.items():
        request.inputs.add(name=name, datatype=datatype_of(array), shape=array.shape)
        request.raw_input_contents.append(write_tensor(array))
    return bytes(request.SerializeToString())


def _decode(content: bytes, specs: Specs) -> Tensors:
    response = _parse(ModelInferResponse, content)
    return read_tensors(response.outputs, response.raw_output_contents, specs, "output")


def _read_metadata(content: bytes) -> Mapping[str, Any]:
    response = _parse(ModelMetadataResponse, content)
    return {
        side: [{"name": item.name, "datatype": item.datatype, "shape": list(item.shape)} for item in tensors]
        for side, tensors in (("inputs", response.inputs), ("outputs", response.outputs))
    }


def _parse(kind: type[Message], content: bytes) -> Any:
    try:
        return kind.FromString(content)
    except DecodeError:
        raise ContractError("message", content[:80], f"a {kind.DESCRIPTOR.name}") from None
