"""How the API server refuses."""

NAME_TAKEN = "NameTaken"
"""Our own reason: an object of a child's name belongs to somebody else."""
_MALFORMED = ("failed to convert new object", "failed to create typed patch object")
"""How server-side apply refuses an object that does not fit its schema: with an internal error."""


class ApiError(Exception):
    """The API server refused a request: `code` is HTTP's, `reason` and `message` are the Status object's."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code, self.reason, self.message = code, reason, message

    @property
    def refused(self) -> bool:
        """Say whether the object itself was at fault (invalid, forbidden by admission, over quota), not the moment."""
        return (
            self.code in (400, 403, 413, 422)
            or self.reason == NAME_TAKEN
            or (self.code == 500 and self.message.startswith(_MALFORMED))
        )
