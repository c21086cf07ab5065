"""What launcher and agents ask of a backend."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Member:
    """A registered worker, in the order of its index."""

    worker: int
    address: str
    interface: str
    slots: int


@dataclass(frozen=True)
class Slot:
    """One process to start: its rank, and the environment variables that the backend gives it."""

    rank: int
    environment: dict[str, str]


class Rendezvous(Protocol):
    """What a backend keeps running in the launcher while the workers train."""

    @property
    def slots(self) -> dict[int, list[Slot]]:
        """Return each worker's processes; rank 0 is the first of worker 0."""

    def stop(self) -> None:
        """Free what it holds."""


class Backend(Protocol):
    """One way to run processes together."""

    def start(self, members: Sequence[Member], bind_address: str, address: str) -> Rendezvous:
        """Start in the launcher what the processes need to find each other."""

    def is_consequence(self, log_tail: str) -> bool:
        """Say whether a process's last words show that it ended because a peer did."""
