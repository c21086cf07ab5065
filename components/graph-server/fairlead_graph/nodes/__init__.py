"""The kinds of node, by the field of graph.json that each belongs to (`fairlead_contracts.graph.SOURCES`)."""

from fairlead_contracts.graph import GraphNode as NodeSpec

from . import builtin, onnx
from .base import Context, Feedback, Node, NodeKind, Resources


def _load_remote(spec: NodeSpec, at: str, resources: Resources) -> Node:
    # most graphs have no remote node, and the HTTP client takes a quarter of a second to import
    if spec.protocol == "v2":
        from . import open_inference

        return open_inference.KIND.load(spec, at, resources)
    from . import seldon

    return seldon.KIND.load(spec, at, resources)


KINDS: dict[str, NodeKind] = {
    "model_uri": onnx.KIND,
    "implementation": builtin.KIND,
    "endpoint": NodeKind(_load_remote),
}

__all__ = ["KINDS", "Context", "Feedback", "Node", "NodeKind", "Resources"]
