"""Execute a graph: pass a message down through the nodes, route or combine at branches, and return it upward."""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from fairlead_serving.errors import Code, ServingError, UnknownModel

from .errors import NodeFailed, RequestRejected
from .graph import GraphNode
from .nodes import Context, Feedback
from .roles import Method
from .tensors import Message

_Output = TypeVar("_Output")
_ALL_CHILDREN = -1


@dataclass
class Run:
    """One request in flight: its id, and the nodes and routes that it used."""

    context: Context
    path: dict[str, str] = field(default_factory=dict)
    """Seldon's requestPath: the image of each node that was called."""
    routing: dict[str, int] = field(default_factory=dict)
    """Seldon's routing: the child that each router chose."""
    calls: list[tuple[str, Method, Code, float]] = field(default_factory=list)
    """Each call to a node: its name, the method, what became of it, and the seconds."""


async def execute(node: GraphNode, message: Message, run: Run) -> Message:
    """Run a message through a node and the nodes below it."""
    role = node.role
    if role.before:
        message = await _call(node, role.before, [message], run)
    if node.children:
        children = await _choose(node, message, run)
        outputs = await _execute_all(children, message, run)
        message = await combine(node, outputs, run) if role.join else outputs[0]
    if role.after:
        message = await _call(node, role.after, [message], run)
    return message


async def send_feedback(node: GraphNode, feedback: Feedback, run: Run) -> None:
    """Send feedback about an earlier response to a node and to those below it that took part; raise ServingError."""
    chosen = feedback.routing.get(node.name, _ALL_CHILDREN) if node.role.choose else _ALL_CHILDREN
    if not _ALL_CHILDREN <= chosen < len(node.children):
        expected = f"-1 to {len(node.children) - 1}, the children of {node.name}"
        raise RequestRejected(f"response.meta.routing.{node.name}", chosen, expected)
    await _record(node, "send-feedback", node.node.send_feedback(feedback, run.context), run)
    children = node.children if chosen == _ALL_CHILDREN else [node.children[chosen]]
    await asyncio.gather(*(send_feedback(child, feedback, run) for child in children))


async def choose_child(node: GraphNode, message: Message, run: Run) -> int:
    """Return the index of the child to which a router sends a message, or -1 for all; raise ServingError."""
    output = await _call(node, _require(node, "route"), [message], run)
    values = next(iter(output.tensors.values())).ravel().tolist()
    chosen = int(values[0]) if len(values) == 1 and isinstance(values[0], int | float) else None
    if chosen is None or not _ALL_CHILDREN <= chosen < len(node.children):
        raise NodeFailed(
            node.name, f"routes to {values}, expected one of its {len(node.children)} children", Code.BAD_NODE
        )
    run.routing[node.name] = chosen
    return chosen


async def combine(node: GraphNode, messages: Sequence[Message], run: Run) -> Message:
    """Return what a combiner makes of its children's outputs; raise ServingError."""
    return await _call(node, _require(node, "aggregate"), messages, run)


def _require(node: GraphNode, method: Method) -> Method:
    """Return a method that a node's type has; raise UnknownModel, which is Not Found."""
    if method not in (node.role.choose, node.role.join):
        raise UnknownModel(f"method {method}: not found, because node {node.name} is a {node.spec.type}")
    return method


async def _choose(node: GraphNode, message: Message, run: Run) -> Sequence[GraphNode]:
    if not node.role.choose:
        return node.children
    chosen = await choose_child(node, message, run)
    return node.children if chosen == _ALL_CHILDREN else [node.children[chosen]]


async def _execute_all(children: Sequence[GraphNode], message: Message, run: Run) -> list[Message]:
    if len(children) == 1:
        return [await execute(children[0], message, run)]
    # gather, not a TaskGroup: the first failure is the response, and other calls end at their own deadlines.
    return list(await asyncio.gather(*(execute(child, message, run) for child in children)))


async def _call(node: GraphNode, method: Method, messages: Sequence[Message], run: Run) -> Message:
    output = await _record(node, method, node.node.call(method, messages, run.context), run)
    run.path[node.name] = node.node.image[0]
    return output


async def _record(node: GraphNode, method: Method, call: Awaitable[_Output], run: Run) -> _Output:
    """Await a call to a node, and record what became of it and its time."""
    start, code = time.perf_counter(), Code.INTERNAL
    try:
        output = await call
        code = Code.OK
        return output
    except ServingError as error:
        code = error.code
        raise
    finally:
        run.calls.append((node.name, method, code, time.perf_counter() - start))
