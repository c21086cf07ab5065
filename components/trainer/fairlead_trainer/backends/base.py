"""The interface between a backend and the launcher and agents."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Member:
    """A registered worker."""

    worker: int
    address: str
    interface: str
    slots: int
    peer: str
    """The address that its registration came from: with address translation or a proxy, not its own."""


@dataclass(frozen=True)
class Slot:
    """One process to start: its rank, and the environment variables that the backend sets for it."""

    rank: int
    environment: dict[str, str]


class Rendezvous(Protocol):
    """The service that a backend runs in the launcher while the workers train."""

    @property
    def slots(self) -> dict[int, list[Slot]]:
        """Return each worker's processes; rank 0 is the first of worker 0."""

    def stop(self) -> None:
        """Stop the service and release its resources."""


class Backend(Protocol):
    """A framework for distributed runs."""

    def start(self, members: Sequence[Member], bind_address: str, address: str) -> Rendezvous:
        """Start the rendezvous in the launcher through which the processes find each other."""

    def is_consequence(self, log_tail: str) -> bool:
        """Return whether a process's last log lines show that it failed because a peer failed."""
