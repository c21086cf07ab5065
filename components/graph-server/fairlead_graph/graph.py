"""Build a graph: load its nodes, and check each node's outputs against the next node's inputs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

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
    return check_graph(_load(spec, resources))


def check_graph(root: GraphNode) -> Graph:
    """Return the graph of loaded nodes, as far as their signatures are known; raise InvalidGraph if they do not fit."""
    return Graph(root, *_derive_signature(root))


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
    if node.role.join:
        outputs = _average_outputs(node, [child_outputs for *_, child_outputs in below]) if own is None else own.outputs
    return inputs, outputs


def _average_outputs(node: GraphNode, outputs: list[Specs]) -> Specs:
    """Return what a combiner of ours makes of its children's outputs, if it is known; raise InvalidGraph."""
    if node.spec.implementation != "AVERAGE_COMBINER":
        return None
    known = [(child, specs) for child, specs in zip(node.children, outputs, strict=True) if specs is not None]
    for child, specs in known:
        first, expected = known[0]
        alone = len(specs) == len(expected) == 1
        pairs = zip(_by_name(specs), _by_name(expected), strict=False)
        fits = len(specs) == len(expected) and all(
            (alone or one.name == other.name)
            and _shapes_fit(one, other)
            and "BYTES" not in (one.datatype, other.datatype)
            for one, other in pairs
        )
        if not fits:
            text = f"returns {_describe(specs)}, expected numbers in the shapes of its sibling {first.name}"
            raise InvalidGraph(f"node {child.name}", f"{text}, {_describe(expected)}: node {node.name} averages them")
    merged = _merge_outputs(outputs)
    return tuple(_average_spec(spec) for spec in merged) if merged is not None else None


def _by_name(specs: tuple[TensorSpec, ...]) -> list[TensorSpec]:
    return sorted(specs, key=lambda spec: spec.name)


def _average_spec(spec: TensorSpec) -> TensorSpec:
    """Return the mean's specification: integers become FP64."""
    return spec if spec.datatype in ("FP16", "BF16", "FP32", "FP64") else replace(spec, datatype="FP64")


def _check_fit(source: GraphNode, outputs: Specs, target: GraphNode, inputs: Specs) -> None:
    """Raise InvalidGraph unless the source's outputs match the target's inputs."""
    if outputs is None or inputs is None:
        return
    named = {spec.name: spec for spec in outputs}
    required = [spec for spec in inputs if not spec.optional]
    for spec in inputs:
        alone = len(outputs) == len(required) == 1 and not spec.optional
        output = outputs[0] if alone else named.get(spec.name)
        at = f"node {target.name}: input {spec.name}"
        if output is None and spec.optional:
            continue
        if output is None:
            raise InvalidGraph(at, f"node {source.name} returns {', '.join(named)}, expected {spec.name} among them")
        if output.datatype != spec.datatype:
            raise InvalidGraph(at, f"node {source.name} returns {output.datatype}, expected {spec.datatype}")
        if not _shapes_fit(output, spec):
            raise InvalidGraph(at, f"node {source.name} returns shape {output.shape}, expected {spec.shape}")


def _shapes_fit(one: TensorSpec, other: TensorSpec) -> bool:
    if one.dims is None or other.dims is None:
        return True
    pairs = zip(one.shape, other.shape, strict=False)
    return len(one.dims) == len(other.dims) and all(-1 in pair or pair[0] == pair[1] for pair in pairs)


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
