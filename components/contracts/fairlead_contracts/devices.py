"""On which devices a graph server runs its models.

GET at PATH returns the facts, without a key, once the models are loaded. They hold for the server's life, unless its
model process is replaced.
"""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from .base import PRINTABLE, Contract, problem
from .errors import Words
from .graph import MAX_NODES

PATH = "/fairlead/v1/devices"
MAX_PROBLEM = 256
Provider = Literal["CUDA", "CPU"]


class NodeDevice(Contract):
    """Where a model runs."""

    node: str = Field(min_length=1, max_length=63, pattern=PRINTABLE)
    """The name of its node."""
    provider: Provider
    """The first of ONNX Runtime's execution providers with which it was opened. Operators that CUDA lacks run on the
    CPU all the same."""
    problem: str | None = Field(None, max_length=MAX_PROBLEM, pattern=PRINTABLE)
    """Why it is not CUDA; None if it is."""


class DeviceFacts(Contract):
    """Where the models of a server run."""

    max_bytes: ClassVar[int] = 256 << 10

    schema_: Literal["fairlead.dev/device-facts/v1"] = Field("fairlead.dev/device-facts/v1", alias="schema")
    nodes: tuple[NodeDevice, ...] = Field((), max_length=MAX_NODES)
    """The models that run in the server; other nodes have no device."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (names := len({node.node for node in self.nodes})) < len(self.nodes):
            raise problem("nodes", Words(f"{len(self.nodes)} with {names} names"), "unique names")
        return self
