"""How the API server rejects a request."""

NAME_TAKEN = "NameTaken"
"""Our own reason: an object with a child's name has another owner."""
_MALFORMED = ("failed to convert new object", "failed to create typed patch object")
"""How server-side apply rejects an object that does not fit its schema: with an internal error."""


class ApiError(Exception):
    """The API server rejected a request: `code` is HTTP's, `reason` and `message` are the Status object's."""

    def __init__(self, code: int, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code, self.reason, self.message = code, reason, message
        self.retry_after = retry_after
        """Seconds until the server accepts the request again, if it said so."""

    @property
    def rejected(self) -> bool:
        """Return whether the object was at fault (invalid, forbidden by admission, over quota), not the moment."""
        return (
            self.code in (400, 403, 413, 422)
            or self.reason == NAME_TAKEN
            or (self.code == 500 and self.message.startswith(_MALFORMED))
        )

    @property
    def transient(self) -> bool:
        """Return whether the same request may succeed a moment later."""
        return self.code in (429, 502, 503, 504) or (self.code == 500 and not self.rejected)
