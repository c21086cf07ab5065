"""The messages of a graph, and their binding to the inputs of a node."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fairlead_contracts.errors import ContractError, Words
from fairlead_contracts.tensors import Array, TensorSpec, cast, check_tensor, datatype_of

from .errors import RequestRejected

Tensors = Mapping[str, Array]
Labels = tuple[str, ...] | tuple[int, ...]
"""Names of classes."""


@dataclass(frozen=True)
class Signature:
    """The inputs and outputs of a node."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class Message:
    """A message that passes through a graph."""

    tensors: Tensors
    columns: tuple[str, ...] = ()
    """Seldon's `names`, one per column of the tensor."""
    typed: bool = True
    """False for numbers from plain JSON: the receiving node determines their type."""
    tags: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, Labels] = field(default_factory=dict)
    """The classes that the last dimension of a tensor stands for, by the tensor's name."""
    checked: Sequence[TensorSpec] | None = None
    """The inputs that the tensors were already found to match."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return Seldon's `names`: those that a node gave, or the classes of the only tensor."""
        return self.columns or tuple(str(label) for name in self.tensors for label in self.labels.get(name, ()))


def bind(specs: Sequence[TensorSpec], message: Message, where: str) -> dict[str, Array]:
    """Return the message's tensors by the names of a node's inputs; raise RequestRejected if they do not match.

    A node with one input accepts its parent's single tensor under any name; several tensors are matched by name.
    Optional inputs do not count.
    """
    if message.checked is specs:
        # in the node's order, which is a part of what requests of a batch have in common
        return {spec.name: message.tensors[spec.name] for spec in specs if spec.name in message.tensors}
    tensors, required = message.tensors, [spec for spec in specs if not spec.optional]
    if len(required) == 1 and len(tensors) == 1:
        tensors = {required[0].name: next(iter(tensors.values()))}
    symbols: dict[str, tuple[int, str]] = {}
    feeds: dict[str, Array] = {}
    for spec in specs:
        if spec.name not in tensors:
            if spec.optional:
                continue
            raise RequestRejected(f"{where} {spec.name}", Words("nothing"), f"{spec.datatype} of shape {spec.shape}")
        array = tensors[spec.name]
        try:
            if not message.typed:
                array = cast(array, spec.datatype, f"{where} {spec.name}")
            check_tensor(spec, datatype_of(array), array.shape, f"{where} {spec.name} ", symbols)
        except ContractError as error:
            raise RequestRejected.from_contract(error) from None
        feeds[spec.name] = array
    return feeds
