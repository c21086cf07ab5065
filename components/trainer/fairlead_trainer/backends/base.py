"""The interface between a backend and the launcher and agents."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..membership import MemberId


@dataclass(frozen=True)
class Member:
    """A registered worker."""

    worker: int
    address: str
    interface: str
    slots: int
    peer: str
    """The address that its registration came from: with address translation or a proxy, not its own."""
    port: int = 0
    """A port that was free at its address when it registered; 0 if it has named none."""
    instance: str = ""
    """The name of its agent: one that is started again has another."""


@dataclass(frozen=True)
class Slot:
    """One process to start: its rank, and the environment variables that the backend sets for it."""

    rank: int
    environment: dict[str, str]


@dataclass(frozen=True)
class Launch:
    """What a backend knows of a run, and where its launcher is."""

    job: str
    attempt: int
    bind_address: str
    address: str
    """The address at which workers reach the launcher."""
    elastic: bool = False
    """Whether members come and go."""
    arrived: Callable[[MemberId, int, bool], None] = lambda *_: None
    """Called when a process waits for the next epoch: its member, the current epoch (-1 before the first one), and
    whether all processes of this member wait."""
    gone: Callable[[MemberId], None] = lambda *_: None
    """Called when a process that waited is gone: its member."""


class Rendezvous(Protocol):
    """What a backend runs in the launcher while the workers train, so that their processes find each other."""

    def prepare(self, member: Member) -> Sequence[Slot]:
        """Return the processes that a worker of an elastic run starts before its first epoch.

        They are numbered without gaps from worker to worker, as they have no ranks yet.
        """

    def look(self) -> None:
        """Report the processes that waited for an epoch and are gone."""

    def assign(self, members: Sequence[Member], epoch: int, held: Sequence[Member] = ()) -> dict[int, list[Slot]]:
        """Return each worker's processes in an epoch; rank 0 is the first of the first member.

        Processes of the workers that are held wait for a later one; those of others that were members have no place.
        """

    def announce(self, members: Sequence[Member], since: float) -> None:
        """Ask the processes of these members, at least those of the first, to leave their epoch after a commit.

        `since` is the same each time that they are notified of the same epoch.
        """

    def stop(self) -> None:
        """Stop the service, if there is one, and release its resources."""


class Backend(Protocol):
    """A framework for distributed runs."""

    def begin(self, launch: Launch) -> Rendezvous:
        """Begin a run in the launcher."""

    @property
    def module(self) -> str:
        """Return the module that its scripts import."""

    @property
    def requirement(self) -> str:
        """Return what to install for that module."""

    @property
    def restarts(self) -> bool:
        """Return whether the agents start its processes anew for each epoch of an elastic run.

        If not, they start when their worker registers, and wait for its first epoch.
        """

    @property
    def notice_seconds(self) -> float:
        """Return how long its processes may take to notice that a peer is lost."""

    def extend(self, environment: Mapping[str, str]) -> Mapping[str, str]:
        """Return the variables that a process needs on its worker, beside those of its slot in its environment."""

    def is_consequence(self, log_tail: str) -> bool:
        """Return whether a process's last log lines show that it failed because a peer failed."""
