"""The errors of a request, each with a code that no protocol has made; each protocol has a table of its own words."""

from collections.abc import Sequence
from enum import StrEnum


class Code(StrEnum):
    """What became of a request."""

    OK = "ok"
    INVALID = "invalid"
    """The client's request is wrong, and will stay so."""
    UNAUTHENTICATED = "unauthenticated"
    """The request comes without a key that the server knows."""
    NOT_FOUND = "not-found"
    """The request names a model or an action that is not served."""
    UNPROCESSABLE = "unprocessable"
    """The request is valid, and its response cannot be sent."""
    UNAVAILABLE = "unavailable"
    """The server cannot answer now; the same request may succeed later."""
    TOO_LATE = "too-late"
    """The deadline has passed."""
    BAD_NODE = "bad-node"
    """A remote node has not answered as it should."""
    INTERNAL = "internal"


class ServingError(Exception):
    """A request that is not answered with its result."""

    code = Code.INTERNAL
    reason = "INTERNAL_ERROR"


class Failed(ServingError):
    """A failure that the model process reports."""

    def __init__(self, code: Code, reason: str, text: str) -> None:
        super().__init__(text)
        self.code, self.reason = code, reason


class UnknownModel(ServingError):
    """The request names a model or an action that this server does not serve."""

    code = Code.NOT_FOUND
    reason = "MODEL_NOT_FOUND"


def check_served(at: str, got: str, expected: str) -> None:
    """Raise UnknownModel unless a request names what is served."""
    if got != expected:
        raise UnknownModel(f"{at}: got {got[:100]!r}, expected {expected!r}")


class BadRequest(ServingError):
    """The client's request is invalid."""

    code = Code.INVALID
    reason = "BAD_REQUEST"


class Unauthenticated(ServingError):
    """The request comes without a key that the server knows."""

    code = Code.UNAUTHENTICATED
    reason = "UNAUTHENTICATED"


class Unprocessable(ServingError):
    """The request is valid, but its response cannot be sent; the message names the output."""

    code = Code.UNPROCESSABLE
    reason = "UNPROCESSABLE"


class MemoryExceeded(Unprocessable):
    """The request needs more memory than the model process may use."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the request needs more memory than the models' limit of {limit} bytes")


class Overloaded(ServingError):
    """The maximum number of requests is in flight; the client should retry later."""

    code = Code.UNAVAILABLE
    reason = "OVERLOADED"


class NotReady(ServingError):
    """The models are still loading, or a remote node does not answer."""

    code = Code.UNAVAILABLE
    reason = "NOT_READY"


class ShuttingDown(ServingError):
    """The server's grace has ended before the request."""

    code = Code.UNAVAILABLE
    reason = "SHUTTING_DOWN"

    def __init__(self) -> None:
        super().__init__("the server is shutting down; retry")


class TooLate(ServingError):
    """The request ran into its deadline."""

    code = Code.TOO_LATE
    reason = "DEADLINE_EXCEEDED"

    def __init__(self) -> None:
        super().__init__("the request ran into its deadline")


class Crashed(ServingError):
    """The request's values ended the model process."""

    reason = "MODEL_CRASHED"

    def __init__(self, cause: str, running: Sequence[str] = ()) -> None:
        super().__init__(f"the model process {cause} while it ran this request{describe_running(running)}")


def describe_running(running: Sequence[str]) -> str:
    """Return what a message about the end of the model process adds, if it is known what ran then."""
    return f"; what ran: {', '.join(running)}" if running else ""
