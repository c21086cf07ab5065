"""A minimal transformer: value * scale + offset as an ONNX model, for preprocessing in a graph."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import onnx
from fairlead_artifacts import PUBLISH_SECONDS, Manifest, publish
from fairlead_contracts.model_uri import MODEL_FILE
from fairlead_contracts.signature import Signature, TensorSignature
from fairlead_datasets.splits import Affine
from onnx import TensorProto, helper

from .convert import PRODUCER

# Written by torch's exporter in the oldest supported version, and read by every current ONNX Runtime.
_OPSET, _IR_VERSION = 18, 10
_INPUT, _OUTPUT = "raw", "scaled"


def publish_scaler(affine: Affine, shape: Sequence[int], out_uri: str) -> Manifest:
    """Publish the transformer for FP32 tensors: batches of examples with this shape."""
    dims = ["batch", *(size if size > 0 else f"dim{index}" for index, size in enumerate(shape, 1))]
    nodes = [
        helper.make_node("Mul", [_INPUT, "scale"], ["product"]),
        helper.make_node("Add", ["product", "offset"], [_OUTPUT]),
    ]
    graph = helper.make_graph(
        nodes,
        "affine",
        [helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, dims)],
        [helper.make_tensor_value_info(_OUTPUT, TensorProto.FLOAT, dims)],
        [
            helper.make_tensor("scale", TensorProto.FLOAT, [], [affine.scale]),
            helper.make_tensor("offset", TensorProto.FLOAT, [], [affine.offset]),
        ],
    )
    opset = helper.make_opsetid("", _OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION, producer_name=PRODUCER)
    onnx.checker.check_model(model, full_check=True)
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(model, str(Path(folder, MODEL_FILE)))
        return publish(
            folder,
            out_uri,
            kind="onnx-model",
            producer=PRODUCER,
            parameters={"scale": affine.scale, "offset": affine.offset},
            signature=Signature(inputs=(_describe(_INPUT, shape),), outputs=(_describe(_OUTPUT, shape),)),
            retry_seconds=PUBLISH_SECONDS,
        )


def _describe(name: str, shape: Sequence[int]) -> TensorSignature:
    return TensorSignature(name=name, dtype="FP32", shape=(-1, *(size if size > 0 else -1 for size in shape)))
