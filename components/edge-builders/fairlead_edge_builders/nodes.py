"""A node of an ONNX graph, as the operators of torch read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from .errors import CannotBuild


@dataclass(frozen=True)
class Node:
    """A node; inputs that are constants have their values here, too."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    constants: Mapping[str, NDArray[Any]]

    @property
    def label(self) -> str:
        """Return its operator and name, for messages."""
        return f"{self.kind} (node {self.name or '->' + self.outputs[0]})"

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.attributes.get(name, default)

    def has(self, place: int) -> bool:
        """Return whether it has an input at a place."""
        return place < len(self.inputs) and self.inputs[place] != ""

    def find_list(self, name: str, place: int) -> list[int] | None:
        """Return integers that are an attribute in older opsets, and a constant input in newer ones."""
        if name in self.attributes:
            return [int(value) for value in self.attributes[name]]
        return [int(value) for value in self.read_constant(place).ravel()] if self.has(place) else None

    def read_number(self, place: int) -> float | None:
        """Return a number that is a constant input; None if there is no such input."""
        return float(self.read_constant(place).ravel()[0]) if self.has(place) else None

    def read_constant(self, place: int) -> NDArray[Any]:
        """Return an input that must be constant; raise CannotBuild."""
        name = self.inputs[place]
        if name not in self.constants:
            raise CannotBuild(f"{self.label}: input {place} ({name}) depends on the model's input, expected a constant")
        return self.constants[name]

    def require(self, fits: bool, what: str) -> None:
        """Raise CannotBuild with what the node has that torch's operators have not."""
        if not fits:
            raise CannotBuild(f"{self.label}: {what} is not supported")
