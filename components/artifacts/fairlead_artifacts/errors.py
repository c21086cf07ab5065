"""The errors of the artifact store."""


class ArtifactError(Exception):
    """An invalid URI or artifact: the message names the URI, what was found and what was expected."""

    def __init__(self, uri: str, problem: str) -> None:
        super().__init__(f"{uri}: {problem}")
        self.uri = uri
        self.problem = problem


class ArtifactNotFound(ArtifactError):
    """There is no artifact at the URI; it may be published later."""


class LocalFileError(ArtifactError):
    """A file of this machine could not be read or written, such as on a full disk."""


class CacheUnusable(ArtifactError):
    """A cache cannot hold an artifact; it can still be fetched to another place."""


class StoreUnavailable(ArtifactError):
    """The store did not answer, or returned an unrelated error; retrying may help."""


class ClaimHeld(StoreUnavailable):
    """Another writer is publishing at this URI; it may fail, and the URI become free."""
