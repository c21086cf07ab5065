"""The errors of the graph server: InvalidGraph while loading, and those of requests (see fairlead_serving.errors)."""

from typing import Self

from fairlead_contracts.errors import ContractError, shorten
from fairlead_serving.errors import BadRequest, Code, ServingError, Unprocessable


class InvalidGraph(Exception):
    """The graph cannot be served; the message names the node or the field."""

    def __init__(self, at: str, problem: str) -> None:
        super().__init__(f"{at}: {problem}")
        self.at = at
        self.problem = problem

    @classmethod
    def from_contract(cls, error: ContractError) -> Self:
        """Return the error for a graph that violates its contract."""
        return cls(error.field, f"got {shorten(error.got)}, expected {error.expected}")


class RequestRejected(BadRequest):
    """The client's request is invalid; the message names the field, the value and what was expected."""

    def __init__(self, field: str, got: object, expected: str) -> None:
        super().__init__(f"{field}: got {shorten(got)}, expected {expected}")

    @classmethod
    def from_contract(cls, error: ContractError) -> Self:
        """Return the error for a request that violates its contract."""
        return cls(error.field, error.got, error.expected)


class NodeFailed(ServingError):
    """A node of the graph failed."""

    reason = "NODE_FAILED"

    def __init__(self, node: str, problem: str, code: Code = Code.INTERNAL) -> None:
        super().__init__(f"node {node}: {problem}")
        self.code = code


class NodeTooLate(NodeFailed):
    """A model of the graph ran into the request's deadline."""

    reason = "DEADLINE_EXCEEDED"

    def __init__(self, node: str) -> None:
        super().__init__(node, "ran into the request's deadline", Code.TOO_LATE)


class NodeOutOfMemory(Unprocessable):
    """A node needs more memory for a request than there is."""
