"""The kinds of node, by the field of graph.json that each belongs to (`fairlead_contracts.graph.SOURCES`)."""

from . import onnx, seldon
from .base import Context, Node, NodeKind, Resources

KINDS: dict[str, NodeKind] = {
    "model_uri": onnx.KIND,
    "endpoint": seldon.KIND,
}

__all__ = ["KINDS", "Context", "Node", "NodeKind", "Resources"]
