"""The kinds of node. A new kind is one module with a NodeKind, and one line here."""

from . import onnx, seldon
from .base import Context, Node, NodeKind, Resources

KINDS: dict[str, NodeKind] = {
    "modelUri": onnx.KIND,
    "endpoint": seldon.KIND,
}

__all__ = ["KINDS", "Context", "Node", "NodeKind", "Resources"]
