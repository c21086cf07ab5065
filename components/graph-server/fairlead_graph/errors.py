"""What the graph server refuses: at load (InvalidGraph) and per request (RequestRejected and its kin)."""

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
        """Return the rejection of what does not follow its contract."""
        return cls(error.field, f"got {shorten(error.got)}, expected {error.expected}")


class RequestFailed(Exception):
    """A request that gets an answer other than 200."""

    status = 500
    reason = "INTERNAL_ERROR"


class RequestRejected(RequestFailed):
    """The client's request is wrong: names the field, the value and what was expected."""

    status = 400
    reason = "BAD_REQUEST"

    def __init__(self, field: str, got: object, expected: str) -> None:
        super().__init__(f"{field}: got {shorten(got)}, expected {expected}")

    @classmethod
    def from_contract(cls, error: ContractError) -> Self:
        """Return the rejection of a request that does not follow its contract."""
        return cls(error.field, error.got, error.expected)


class UnknownModel(RequestFailed):
    """The path names a model that this server does not hold."""

    status = 404
    reason = "MODEL_NOT_FOUND"


class BodyTooSlow(RequestFailed):
    """The request's body does not come; its place is needed."""

    status = 408
    reason = "REQUEST_TIMEOUT"


class BodyTooLarge(RequestFailed):
    """The request's body is over the limit."""

    status = 413
    reason = "REQUEST_TOO_LARGE"


class Overloaded(RequestFailed):
    """As many requests as allowed are under way; the client should come back."""

    status = 503
    reason = "OVERLOADED"


class NotReady(RequestFailed):
    """The graph is still loading, or a remote node does not answer."""

    status = 503
    reason = "NOT_READY"


class NodeFailed(RequestFailed):
    """A node of the graph did not do its part."""

    reason = "NODE_FAILED"

    def __init__(self, node: str, problem: str, status: int = 500) -> None:
        super().__init__(f"node {node}: {problem}")
        self.status = status
