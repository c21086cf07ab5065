"""The interface of nodes, and the resources with which they are built."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from fairlead_contracts.graph import Batching
from fairlead_contracts.graph import GraphNode as NodeSpec
from fairlead_serving.board import Places

from ..models import ModelFile
from ..monitor.monitors import Monitors
from ..roles import Method
from ..settings import NodeSettings
from ..tensors import Message, Signature


@dataclass(frozen=True)
class Context:
    """What a node has to know about a request."""

    puid: str
    deadline: float
    """When the request has to be answered, in the event loop's time."""
    counted: bool = True
    """Whether monitors count it, as those of clients."""


@dataclass(frozen=True)
class Feedback:
    """What a client says about the response to an earlier request."""

    reward: float
    routing: Mapping[str, int]
    """The child that each router chose, as the response said it."""
    rows: int
    """The rows of the request, each of which is rewarded."""
    document: Mapping[str, Any]
    """Seldon's message, for remote nodes."""


class Node(Protocol):
    """One node of a graph, ready to be called."""

    @property
    def signature(self) -> Signature | None:
        """The node's inputs and outputs; None if only the node itself knows them."""

    @property
    def image(self) -> tuple[str, str]:
        """The node's image and version, for metrics and Seldon's requestPath."""

    async def call(self, method: Method, messages: Sequence[Message], context: Context) -> Message:
        """Call one of Seldon's methods; `aggregate` accepts several messages, all others one."""

    async def send_feedback(self, feedback: Feedback, context: Context) -> None:
        """Send the node feedback about an earlier response; raise ServingError."""

    async def check(self) -> None:
        """Raise NodeFailed unless the node responds."""

    async def close(self) -> None:
        """Release the node's resources."""


@dataclass(frozen=True)
class Resources:
    """The resources that nodes share."""

    settings: NodeSettings
    pool: ThreadPoolExecutor
    models: Mapping[str, ModelFile]
    """The models by node."""
    report: Callable[[str, str], None]
    """Reports the step that begins: where, and what is done there. It may end the process."""
    batching: Batching | None = None
    """How models run requests together, if they do."""
    monitors: Monitors | None = None
    """What counts the inputs and outputs of models, if they are."""
    places: Places = field(default_factory=Places)
    """Where nodes note what they run, which may end the process, too."""


@dataclass(frozen=True)
class NodeKind:
    """A kind of node. `load` may block; it raises InvalidGraph."""

    load: Callable[[NodeSpec, str, Resources], Node]
