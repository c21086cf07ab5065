"""The errors of the graph server: InvalidGraph while loading, and RequestFailed and its subclasses per request."""

from typing import Self

from fairlead_contracts.errors import ContractError, shorten


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


class RequestFailed(Exception):
    """A request with a response other than 200."""

    status = 500
    reason = "INTERNAL_ERROR"


class RequestRejected(RequestFailed):
    """The client's request is invalid; the message names the field, the value and what was expected."""

    status = 400
    reason = "BAD_REQUEST"

    def __init__(self, field: str, got: object, expected: str) -> None:
        super().__init__(f"{field}: got {shorten(got)}, expected {expected}")

    @classmethod
    def from_contract(cls, error: ContractError) -> Self:
        """Return the error for a request that violates its contract."""
        return cls(error.field, error.got, error.expected)


class UnknownModel(RequestFailed):
    """The path names a model that this server does not serve."""

    status = 404
    reason = "MODEL_NOT_FOUND"


class BodyTooSlow(RequestFailed):
    """The request's body did not arrive before the deadline."""

    status = 408
    reason = "REQUEST_TIMEOUT"


class BodyTooLarge(RequestFailed):
    """The request's body is over the limit."""

    status = 413
    reason = "REQUEST_TOO_LARGE"


class Overloaded(RequestFailed):
    """The maximum number of requests is in flight; the client should retry later."""

    status = 503
    reason = "OVERLOADED"


class NotReady(RequestFailed):
    """The graph is still loading, or a remote node does not answer."""

    status = 503
    reason = "NOT_READY"


class NodeFailed(RequestFailed):
    """A node of the graph failed."""

    reason = "NODE_FAILED"

    def __init__(self, node: str, problem: str, status: int = 500) -> None:
        super().__init__(f"node {node}: {problem}")
        self.status = status
