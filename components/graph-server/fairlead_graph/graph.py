"""The graph, built: nodes loaded, and what each gives checked against what the next one takes."""

from collections.abc import Iterator
from dataclasses import dataclass

from fairlead_contracts.graph import GraphNode as NodeSpec
from fairlead_contracts.tensors import TensorSpec

from .errors import InvalidGraph
from .nodes import KINDS, Node, Resources
from .roles import ROLES, Role
from .tensors import Signature

Specs = tuple[TensorSpec, ...] | None
"""Tensors, or None where only a remote node knows them."""


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
        """Yield this node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True)
class Graph:
    """A graph that can be run, and the signature of the whole of it."""

    root: GraphNode
    inputs: Specs
    outputs: Specs


def build_graph(spec: NodeSpec, resources: Resources) -> Graph:
    """Load all nodes and check that they fit; blocks; raise InvalidGraph naming the node."""
    root = _load(spec, resources)
    inputs, outputs = _derive_signature(root)
    return Graph(root, inputs, outputs)


def _load(spec: NodeSpec, resources: Resources) -> GraphNode:
    at, kind = f"node {spec.name}", KINDS["endpoint" if spec.endpoint else "modelUri"]
    role = ROLES[spec.type]
    if not role.methods <= kind.methods:
        raise InvalidGraph(at, f"is a {spec.type} with a modelUri, expected an endpoint: a model has no such method")
    children = tuple(_load(child, resources) for child in spec.children)
    return GraphNode(spec, role, kind.load(spec, at, resources), children)


def _derive_signature(node: GraphNode) -> tuple[Specs, Specs]:
    """Return what the graph below and with this node takes and gives."""
    own: Signature | None = node.node.signature
    below = [(child, *_derive_signature(child)) for child in node.children]
    inputs, outputs = _merge(node, [taken for _, taken, _ in below]), _merge_outputs([given for *_, given in below])
    if node.role.before:
        for child, taken, _ in below:
            _check_fit(node, own.outputs if own else None, child, taken)
        return (own.inputs if own else None), (outputs if below else own.outputs if own else None)
    if node.role.after:
        for child, _, given in below:
            _check_fit(child, given, node, own.inputs if own else None)
        return (inputs if below else own.inputs if own else None), (own.outputs if own else None)
    return inputs, (None if node.role.join else outputs)


def _check_fit(giver: GraphNode, given: Specs, taker: GraphNode, taken: Specs) -> None:
    """Raise InvalidGraph unless what one node gives is what the other takes."""
    if given is None or taken is None:
        return
    named = {spec.name: spec for spec in given}
    for spec in taken:
        source = given[0] if len(given) == len(taken) == 1 else named.get(spec.name)
        at = f"node {taker.name}: input {spec.name}"
        if source is None:
            raise InvalidGraph(at, f"node {giver.name} gives {', '.join(named)}, expected {spec.name} among them")
        if source.datatype != spec.datatype:
            raise InvalidGraph(at, f"node {giver.name} gives {source.datatype}, expected {spec.datatype}")
        if not _shapes_fit(source.shape, spec.shape):
            raise InvalidGraph(at, f"node {giver.name} gives shape {source.shape}, expected {spec.shape}")


def _shapes_fit(given: list[int], taken: list[int]) -> bool:
    return len(given) == len(taken) and all(-1 in pair or pair[0] == pair[1] for pair in zip(given, taken, strict=True))


def _merge(node: GraphNode, taken: list[Specs]) -> Specs:
    """Return what children that get the same message take; raise InvalidGraph where they differ."""
    known = [(child, specs) for child, specs in zip(node.children, taken, strict=True) if specs is not None]
    for child, specs in known[1:]:
        first, expected = known[0]
        if _facts(specs) != _facts(expected):
            text = f"takes {_describe(specs)}, expected {_describe(expected)} as {first.name} beside it"
            raise InvalidGraph(f"node {child.name}", text)
    return known[0][1] if known else None


def _merge_outputs(given: list[Specs]) -> Specs:
    """Return what the children give where all give the same."""
    first = given[0] if given else None
    return first if first is not None and all(_facts(specs) == _facts(first) for specs in given) else None


def _facts(specs: Specs) -> list[tuple[str, str, list[int]]]:
    return [(spec.name, spec.datatype, spec.shape) for spec in specs or ()]


def _describe(specs: Specs) -> str:
    return ", ".join(f"{spec.name} {spec.datatype} {spec.shape}" for spec in specs or ())
