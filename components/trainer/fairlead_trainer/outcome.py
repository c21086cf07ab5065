"""How a worker ends."""

from dataclasses import dataclass

from fairlead_contracts.termination import Failure


@dataclass(frozen=True)
class Outcome:
    """A worker's result: its exit code, and its failure unless it succeeded or was stopped."""

    code: int
    failure: Failure | None = None


class Failed(Exception):
    """This worker failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class Stopped(Exception):
    """Another worker failed, or the launcher is unreachable."""
