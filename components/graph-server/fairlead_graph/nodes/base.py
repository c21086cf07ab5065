"""The interface of nodes, and the resources with which they are built."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from fairlead_contracts.graph import GraphNode as NodeSpec

from ..models import ModelCache
from ..roles import Method
from ..settings import Settings
from ..tensors import Message, Signature


class Node(Protocol):
    """One node of a graph, ready to be called."""

    @property
    def signature(self) -> Signature | None:
        """The node's inputs and outputs; None if only the node itself knows them."""

    @property
    def image(self) -> tuple[str, str]:
        """The node's image and version, for metrics and Seldon's requestPath."""

    async def call(self, method: Method, messages: Sequence[Message], puid: str) -> Message:
        """Call one of Seldon's methods; `aggregate` accepts several messages, all others one."""

    async def check(self) -> None:
        """Raise NodeFailed unless the node answers."""

    async def close(self) -> None:
        """Release the node's resources."""


@dataclass(frozen=True)
class Resources:
    """The resources that nodes share."""

    settings: Settings
    pool: ThreadPoolExecutor
    models: ModelCache


@dataclass(frozen=True)
class NodeKind:
    """A kind of node. `load` may block, because it runs outside the event loop; it raises InvalidGraph."""

    methods: frozenset[Method]
    load: Callable[[NodeSpec, str, Resources], Node]
