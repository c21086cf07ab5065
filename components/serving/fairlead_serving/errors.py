"""The errors of a request, each with its HTTP status."""


class ServingError(Exception):
    """A request with a response other than 200."""

    status = 500
    reason = "INTERNAL_ERROR"


class BadRequest(ServingError):
    """The client's request is invalid."""

    status = 400
    reason = "BAD_REQUEST"


class Unprocessable(ServingError):
    """The request is valid, but its response cannot be sent; the message names the output."""

    status = 422
    reason = "UNPROCESSABLE"


class MemoryExceeded(Unprocessable):
    """The request needs more memory than the model process may use."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the request needs more memory than the models' limit of {limit} bytes")


class Overloaded(ServingError):
    """The maximum number of requests is in flight; the client should retry later."""

    status = 503
    reason = "OVERLOADED"


class NotReady(ServingError):
    """The models are still loading, or a remote node does not answer."""

    status = 503
    reason = "NOT_READY"


class ShuttingDown(ServingError):
    """The server's grace has ended before the request."""

    status = 503
    reason = "SHUTTING_DOWN"

    def __init__(self) -> None:
        super().__init__("the server is shutting down; retry")


class TooLate(ServingError):
    """The request ran into its deadline."""

    status = 504
    reason = "DEADLINE_EXCEEDED"

    def __init__(self) -> None:
        super().__init__("the request ran into its deadline")


class Crashed(ServingError):
    """The request's values ended the model process."""

    reason = "MODEL_CRASHED"

    def __init__(self, cause: str) -> None:
        super().__init__(f"the model process {cause} while it ran this request")
