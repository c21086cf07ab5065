"""What every kind of node offers to the graph, and what it is given to be built."""

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
        """What it takes and gives; None where only the node itself knows."""

    @property
    def image(self) -> tuple[str, str]:
        """What runs in it and its version, for metrics and Seldon's requestPath."""

    async def call(self, method: Method, messages: Sequence[Message], puid: str) -> Message:
        """Call one of Seldon's methods; `aggregate` takes several messages, all others one."""

    async def check(self) -> None:
        """Raise NodeFailed unless the node answers."""

    async def close(self) -> None:
        """Let go of what the node holds."""


@dataclass(frozen=True)
class Resources:
    """What nodes share."""

    settings: Settings
    pool: ThreadPoolExecutor
    models: ModelCache


@dataclass(frozen=True)
class NodeKind:
    """How nodes of one kind are made. `load` may block: it runs outside the event loop; it raises InvalidGraph."""

    methods: frozenset[Method]
    load: Callable[[NodeSpec, str, Resources], Node]
