"""What the artifact store refuses, and why."""


class ArtifactError(Exception):
    """Say which URI, what was found there and what was expected."""

    def __init__(self, uri: str, problem: str) -> None:
        super().__init__(f"{uri}: {problem}")
        self.uri = uri
        self.problem = problem


class ArtifactNotFound(ArtifactError):
    """No artifact is at the URI: it may still come."""


class StoreUnavailable(ArtifactError):
    """The store did not answer, or not with an answer about the artifact: trying again may help."""
