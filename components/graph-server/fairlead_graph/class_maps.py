"""Outputs of scikit-learn's classifiers: the operator ZipMap makes sequences of maps (class to probability) of them.

No protocol has such a type. The probabilities are a tensor before ZipMap, and the classes an attribute of it, so the
operator is replaced by Identity, and the tensor is served with its classes.
"""

from collections.abc import Mapping
from pathlib import Path

from onnx import GraphProto, ModelProto, NodeProto, TensorProto

from .tensors import Labels

_DOMAINS = ("", "ai.onnx")


def find_class_maps(graph: GraphProto) -> dict[str, Labels]:
    """Return the outputs of a graph that ZipMap makes and nothing else uses, with their classes."""
    outputs = {port.name for port in graph.output}
    used = {name for node in graph.node for name in node.input}
    return {
        node.output[0]: labels
        for node in graph.node
        if _is_zipmap(node) and node.output[0] in outputs - used and (labels := _read_labels(node))
    }


def without_class_maps(path: Path, class_maps: Mapping[str, Labels]) -> bytes:
    """Return a model's content with these outputs as tensors."""
    model = ModelProto.FromString(path.read_bytes())
    if not any(entry.domain in _DOMAINS for entry in model.opset_import):
        model.opset_import.add(domain="", version=17)
    for node in model.graph.node:
        if _is_zipmap(node) and node.output[0] in class_maps:
            node.op_type, node.domain = "Identity", ""
            node.ClearField("attribute")
    for port in model.graph.output:
        if port.name in class_maps:
            port.type.Clear()
            port.type.tensor_type.elem_type = TensorProto.FLOAT
            # ONNX Runtime infers no shape behind scikit-learn's operators; ZipMap has a row for each map
            port.type.tensor_type.shape.dim.add()
            port.type.tensor_type.shape.dim.add(dim_value=len(class_maps[port.name]))
    return bytes(model.SerializeToString())


def _is_zipmap(node: NodeProto) -> bool:
    return node.op_type == "ZipMap" and node.domain == "ai.onnx.ml" and len(node.input) == len(node.output) == 1


def _read_labels(node: NodeProto) -> Labels:
    """Return the classes; none if the node has not exactly one list of them, which ONNX Runtime rejects."""
    texts = [text.decode() for item in node.attribute if item.name == "classlabels_strings" for text in item.strings]
    numbers = [number for item in node.attribute if item.name == "classlabels_int64s" for number in item.ints]
    if texts and numbers:
        return ()
    return tuple(texts) or tuple(numbers)
