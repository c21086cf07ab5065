"""Errors of the API server."""

NAME_TAKEN = "NameTaken"
"""Our own reason: the name of a child is used by an object with another owner."""
KIND_MISSING = "KindMissing"
"""Our own reason: the cluster does not have the kind of a child, because what provides it is not installed."""
_MALFORMED = ("failed to convert new object", "failed to create typed patch object")
"""Messages of the internal errors with which server-side apply rejects invalid objects."""


class ApiError(Exception):
    """The API server rejected a request: `code` is the HTTP status, `reason` and `message` are from the Status."""

    def __init__(self, code: int, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code, self.reason, self.message = code, reason, message
        self.retry_after = retry_after
        """Seconds to wait before a retry, if the server sent them."""
        self.child = ""
        """The kind of the child that was rejected, where one was."""

    @property
    def rejected(self) -> bool:
        """Return whether the object was rejected as invalid, forbidden or over quota, so that a retry does not help."""
        return (
            self.code in (400, 403, 413, 422)
            or self.reason in (NAME_TAKEN, KIND_MISSING)
            or (self.code == 500 and self.message.startswith(_MALFORMED))
        )

    @property
    def invalid(self) -> bool:
        """Return whether the object itself is at fault, and no quota, permission or name."""
        return self.rejected and self.code in (400, 413, 422)

    @property
    def transient(self) -> bool:
        """Return whether a retry may succeed."""
        return self.code in (429, 502, 503, 504) or (self.code == 500 and not self.rejected)


class StatusConflict(ApiError):
    """The resource is no longer the version that a status was derived from."""


class NotLeading(Exception):
    """A write was not sent, because this process no longer leads or cannot be sure of it."""
