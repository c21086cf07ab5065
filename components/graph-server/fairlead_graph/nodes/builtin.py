"""The built-in nodes: Seldon Core v1's, and the routers of its examples, which learn from feedback."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from fairlead_contracts.graph import GraphNode as NodeSpec
from fairlead_contracts.graph import Implementation, Parameter
from fairlead_contracts.tensors import Array, is_float

from ..errors import InvalidGraph, NodeFailed, RequestRejected
from ..roles import Method
from ..tensors import Message, Signature
from .base import Context, Feedback, NodeKind, Resources

_SIMPLE_VALUES, _SIMPLE_COLUMNS = (0.1, 0.9, 0.5), ("class0", "class1", "class2")


@dataclass
class BuiltIn:
    """A built-in node: what it does with messages, without I/O."""

    name: str
    image: tuple[str, str]
    run: Callable[[Sequence[Message]], Message]
    branches: "Branches | None" = None
    """What it has learned; None if it does not learn."""
    signature: Signature | None = None
    """What it accepts and returns is only known with its neighbors."""

    async def call(self, method: Method, messages: Sequence[Message], context: Context) -> Message:  # noqa: ARG002
        """Run it."""
        return self.run(messages)

    async def send_feedback(self, feedback: Feedback, context: Context) -> None:  # noqa: ARG002
        """Learn from the reward of a request that it has routed; raise RequestRejected."""
        if self.branches is None or (branch := feedback.routing.get(self.name)) is None or branch < 0:
            return
        if not 0 <= feedback.reward <= 1:
            raise RequestRejected("reward", feedback.reward, f"0 to 1, from which {self.image[0]} learns")
        self.branches.learn(branch, feedback.reward, feedback.rows)

    def state(self) -> list[list[float]] | None:
        """Return what it has learned, for `restore`; None if it does not learn."""
        return [self.branches.successes, self.branches.failures] if self.branches else None

    def restore(self, state: list[list[float]]) -> None:
        """Go on from what the same node had learned in a process before this one."""
        if self.branches is not None:
            self.branches.successes[:], self.branches.failures[:] = state

    async def check(self) -> None:
        """Do nothing: it is always available."""

    async def close(self) -> None:
        """Do nothing: there is nothing to release."""


class Parameters:
    """The parameters of a node, each of which has to be known."""

    def __init__(self, at: str, parameters: Sequence[Parameter]) -> None:
        self._at = at
        self._left = {parameter.name: parameter for parameter in parameters}

    def number(self, name: str, default: float | None, least: float, most: float) -> float:
        """Return a number between two others; raise InvalidGraph. It is required if there is no default."""
        parameter = self._left.pop(name, None)
        if parameter is None and default is not None:
            return default
        try:
            value = float(parameter.value) if parameter else float("nan")
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            got = f"got {parameter.value!r}" if parameter else "is missing"
            raise InvalidGraph(f"{self._at}: parameter {name}", f"{got}, expected a number from {least:g} to {most:g}")
        return value

    def seed(self) -> int | None:
        """Return the seed of a node's random numbers, if it has one."""
        return int(self.number("seed", 0, 0, 2**53)) if "seed" in self._left else None

    def finish(self) -> None:
        """Raise InvalidGraph if a parameter is unknown."""
        for name in self._left:
            raise InvalidGraph(f"{self._at}: parameter {name}", "is unknown to this implementation")


@dataclass
class Branches:
    """What a router has learned of its branches: rows that were rewarded and that were not."""

    successes: list[float]
    failures: list[float]

    @classmethod
    def of(cls, count: int) -> "Branches":
        """Return branches of which nothing is known."""
        return cls([0.0] * count, [0.0] * count)

    def learn(self, branch: int, reward: float, rows: int) -> None:
        """Add the feedback of a request: `reward` from 0 to 1 for each of its rows."""
        self.successes[branch] += reward * rows
        self.failures[branch] += (1 - reward) * rows

    def mean(self, branch: int) -> float:
        """Return the mean reward of a branch; 0 if there was none."""
        tries = self.successes[branch] + self.failures[branch]
        return self.successes[branch] / tries if tries else 0.0


@dataclass
class _Build:
    """What a built-in is built from."""

    name: str
    at: str
    children: int
    parameters: Parameters
    random: Random


Built = tuple[Callable[[Sequence[Message]], Message], Branches | None]


def _route_to(choose: Callable[[], int]) -> Callable[[Sequence[Message]], Message]:
    return lambda _: Message({"route": np.array([choose()], np.int64)})


def _simple_model(_: _Build) -> Built:
    """Answer every request with the same three numbers."""
    values = np.array([_SIMPLE_VALUES])
    return lambda messages: Message({"output": values}, _SIMPLE_COLUMNS, tags=messages[0].tags), None


def _simple_router(_: _Build) -> Built:
    """Send every request to the first child."""
    return _route_to(lambda: 0), None


def _random_abtest(build: _Build) -> Built:
    """Send the share `ratioA` of requests to the first of two children."""
    if build.children != 2:
        raise InvalidGraph(build.at, f"RANDOM_ABTEST has {build.children} children, expected 2")
    ratio = build.parameters.number("ratioA", None, 0, 1)
    return _route_to(lambda: 0 if build.random.random() < ratio else 1), None


def _epsilon_greedy(build: _Build) -> Built:
    """Send requests to the child with the best mean reward, but the share `epsilon` to any other one."""
    epsilon, branches = build.parameters.number("epsilon", 0.1, 0, 1), Branches.of(build.children)

    def choose() -> int:
        best = max(range(build.children), key=branches.mean)
        others = [branch for branch in range(build.children) if branch != best]
        return build.random.choice(others) if others and build.random.random() < epsilon else best

    return _route_to(choose), branches


def _thompson_sampling(build: _Build) -> Built:
    """Send each request to the child that wins a draw from what is known of the rewards (Beta distributions)."""
    branches = Branches.of(build.children)

    def draw(branch: int) -> float:
        return build.random.betavariate(1 + branches.successes[branch], 1 + branches.failures[branch])

    return _route_to(lambda: max(range(build.children), key=draw)), branches


def _average_combiner(build: _Build) -> Built:
    """Answer with the mean of the children's outputs, which must have the same names and shapes."""
    return lambda messages: _average(build.name, messages), None


_BUILDERS: Mapping[Implementation, Callable[[_Build], Built]] = {
    "SIMPLE_MODEL": _simple_model,
    "SIMPLE_ROUTER": _simple_router,
    "RANDOM_ABTEST": _random_abtest,
    "EPSILON_GREEDY": _epsilon_greedy,
    "THOMPSON_SAMPLING": _thompson_sampling,
    "AVERAGE_COMBINER": _average_combiner,
}


def _average(name: str, messages: Sequence[Message]) -> Message:
    first, *others = messages
    if len(first.tensors) == 1 and all(len(other.tensors) == 1 for other in others):
        # as between other nodes, a single tensor may have any name
        (key,) = first.tensors
        groups: dict[str, list[Array]] = {key: [next(iter(message.tensors.values())) for message in messages]}
    else:
        if different := next((other for other in others if other.tensors.keys() != first.tensors.keys()), None):
            found = f"{sorted(first.tensors)} and {sorted(different.tensors)}"
            raise NodeFailed(name, f"its children return {found}, expected the same tensors of all")
        groups = {key: [message.tensors[key] for message in messages] for key in first.tensors}
    if different := next((other for other in others if other.names != first.names and first.labels), None):
        found = f"{list(first.names)} and {list(different.names)}"
        raise NodeFailed(name, f"its children return the classes {found}, expected the same in the same order")
    tags: dict[str, Any] = {key: value for message in messages for key, value in message.tags.items()}
    tensors = {key: _mean(name, key, arrays) for key, arrays in groups.items()}
    typed = all(message.typed for message in messages)
    return Message(tensors, first.columns, typed, tags, first.labels)


def _mean(name: str, key: str, arrays: Sequence[Array]) -> Array:
    if any(array.dtype.kind not in "iuf" and not is_float(array.dtype) for array in arrays):
        raise NodeFailed(name, f"tensor {key} of a child is not of numbers, expected numbers to average")
    if different := next((array for array in arrays if array.shape != arrays[0].shape), None):
        shapes = f"{list(arrays[0].shape)} and {list(different.shape)}"
        raise NodeFailed(name, f"tensor {key} has the shapes {shapes}, expected the same of all children")
    dtype = np.result_type(*arrays)
    dtype = dtype if is_float(dtype) else np.dtype(np.float64)
    # half precision would lose what the sum needs more of
    total = np.zeros(arrays[0].shape, np.float32 if dtype.itemsize == 2 else dtype)
    with np.errstate(all="ignore"):
        for array in arrays:
            total += array.astype(total.dtype, copy=False)
        return np.asarray(total / len(arrays), dtype)


def _load(spec: NodeSpec, at: str, resources: Resources) -> BuiltIn:  # noqa: ARG001
    assert spec.implementation is not None
    parameters = Parameters(at, spec.parameters or ())
    build = _Build(spec.name, at, len(spec.children), parameters, Random(parameters.seed()))
    run, branches = _BUILDERS[spec.implementation](build)
    parameters.finish()
    return BuiltIn(spec.name, (spec.implementation, ""), run, branches)


KIND = NodeKind(_load)
