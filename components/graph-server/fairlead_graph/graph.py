"""Build a graph: load its nodes, and check each node's outputs against the next node's inputs."""

from collections.abc import Iterator
from dataclasses import dataclass

from fairlead_contracts.graph import GraphNode as NodeSpec
from fairlead_contracts.tensors import TensorSpec

from .errors import InvalidGraph
from .nodes import KINDS, Node, Resources
from .roles import ROLES, Role
from .tensors import Signature

Specs = tuple[TensorSpec, ...] | None
"""Tensors, or None if only a remote node knows them."""


@dataclass(frozen=True)
class GraphNode:
    """A loaded node and its children."""

    spec: NodeSpec
    role: Role
    node: Node
    children: tuple["GraphNode", ...]

    @property
    def name(self) -> str:
        """Return the node's name."""
        return self.spec.name

    def walk(self) -> Iterator["GraphNode"]:
        """Yield this node and all nodes below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True)
class Graph:
    """A loaded graph and its signature as a whole."""

    root: GraphNode
    inputs: Specs
    outputs: Specs


def build_graph(spec: NodeSpec, resources: Resources) -> Graph:
    """Load all nodes and check that they fit together; raise InvalidGraph naming the node. This call blocks."""
    root = _load(spec, resources)
    inputs, outputs = _derive_signature(root)
    return Graph(root, inputs, outputs)


def _load(spec: NodeSpec, resources: Resources) -> GraphNode:
    children = tuple(_load(child, resources) for child in spec.children)
    node = KINDS[spec.source].load(spec, f"node {spec.name}", resources)
    return GraphNode(spec, ROLES[spec.type], node, children)


def _derive_signature(node: GraphNode) -> tuple[Specs, Specs]:
    """Return the inputs and outputs of the graph from this node down."""
    own: Signature | None = node.node.signature
    below = [(child, *_derive_signature(child)) for child in node.children]
    inputs = _merge_inputs(node, [child_inputs for _, child_inputs, _ in below])
    outputs = _merge_outputs([child_outputs for *_, child_outputs in below])
    if node.role.before:
        for child, child_inputs, _ in below:
            _check_fit(node, own.outputs if own else None, child, child_inputs)
        return (own.inputs if own else None), (outputs if below else own.outputs if own else None)
    if node.role.after:
        for child, _, child_outputs in below:
            _check_fit(child, child_outputs, node, own.inputs if own else None)
        return (inputs if below else own.inputs if own else None), (own.outputs if own else None)
    return inputs, (None if node.role.join else outputs)


def _check_fit(source: GraphNode, outputs: Specs, target: GraphNode, inputs: Specs) -> None:
    """Raise InvalidGraph unless the source's outputs match the target's inputs."""
    if outputs is None or inputs is None:
        return
    named = {spec.name: spec for spec in outputs}
    for spec in inputs:
        output = outputs[0] if len(outputs) == len(inputs) == 1 else named.get(spec.name)
        at = f"node {target.name}: input {spec.name}"
        if output is None:
            raise InvalidGraph(at, f"node {source.name} returns {', '.join(named)}, expected {spec.name} among them")
        if output.datatype != spec.datatype:
            raise InvalidGraph(at, f"node {source.name} returns {output.datatype}, expected {spec.datatype}")
        if not _shapes_fit(output.shape, spec.shape):
            raise InvalidGraph(at, f"node {source.name} returns shape {output.shape}, expected {spec.shape}")


def _shapes_fit(one: list[int], other: list[int]) -> bool:
    return len(one) == len(other) and all(-1 in pair or pair[0] == pair[1] for pair in zip(one, other, strict=True))


def _merge_inputs(node: GraphNode, inputs: list[Specs]) -> Specs:
    """Return the inputs of children that receive the same message; raise InvalidGraph if they differ."""
    known = [(child, specs) for child, specs in zip(node.children, inputs, strict=True) if specs is not None]
    for child, specs in known[1:]:
        first, expected = known[0]
        if _facts(specs) != _facts(expected):
            text = f"accepts {_describe(specs)}, expected {_describe(expected)} as its sibling {first.name}"
            raise InvalidGraph(f"node {child.name}", text)
    return known[0][1] if known else None


def _merge_outputs(outputs: list[Specs]) -> Specs:
    """Return the outputs of the children, or None if they differ."""
    first = outputs[0] if outputs else None
    return first if first is not None and all(_facts(specs) == _facts(first) for specs in outputs) else None


def _facts(specs: Specs) -> list[tuple[str, str, list[int]]]:
    return [(spec.name, spec.datatype, spec.shape) for spec in specs or ()]


def _describe(specs: Specs) -> str:
    return ", ".join(f"{spec.name} {spec.datatype} {spec.shape}" for spec in specs or ())
