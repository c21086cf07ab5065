"""What happens to a run, and what the launcher must do about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fairlead_contracts.progress import ProgressReport
from fairlead_contracts.termination import Failure, PublishedModel

from .backends.base import Member, Slot
from .membership import MemberId, Membership


@dataclass(frozen=True)
class Registered:
    """An agent has registered its worker, perhaps again."""

    id: MemberId
    member: Member


@dataclass(frozen=True)
class Beat:
    """An agent has sent a heartbeat."""

    id: MemberId
    progress: ProgressReport | None = None
    leaving: bool = False
    """Whether the worker will be stopped soon."""
    ended: bool = False
    """Whether all of its processes have exited with 0; it may still publish the model."""
    epoch: int | None = None
    """The epoch of its processes, if they are started anew for each."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The script's parameters, if the launcher may not know them."""
    activity: str | None = None
    """What the agent does that takes long or fails; None if nothing does."""


@dataclass(frozen=True)
class Delayed:
    """An agent that has not registered has reported what takes long or fails."""

    id: MemberId
    activity: str


@dataclass(frozen=True)
class Left:
    """An agent has stopped the processes of an epoch, or they have failed, and waits for the next epoch."""

    id: MemberId
    epoch: int
    """The epoch of these processes."""
    port: int
    """A port that is free at the worker's address now."""
    failure: Failure | None = None
    """How they failed; None if they were stopped."""
    progress: ProgressReport | None = None


@dataclass(frozen=True)
class Finished:
    """An agent has reported its worker's end: success, a failure, or why it stopped."""

    id: MemberId
    codes: Sequence[object] | None = None
    """The exit codes of the worker's processes."""
    failure: Failure | None = None
    stopped: str | None = None
    """Why the agent stopped without a failure of its own."""
    model: PublishedModel | None = None
    progress: ProgressReport | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The script's parameters, if the launcher may not know them."""


@dataclass(frozen=True)
class Assigned:
    """The backend has assigned the processes of a membership."""

    membership: Membership
    slots: Mapping[int, Sequence[Slot]]


@dataclass(frozen=True)
class Prepared:
    """The backend has said how the processes of a worker start before its first epoch."""

    id: MemberId
    slots: Sequence[Slot]


@dataclass(frozen=True)
class Arrived:
    """A process waits for the next epoch: it has left the current one, or its worker is new."""

    id: MemberId
    epoch: int
    """The epoch that was the current one when it asked for the next one."""
    complete: bool
    """Whether all processes of the member wait."""


@dataclass(frozen=True)
class Gone:
    """A process that waited for the next epoch waits no longer: most likely it is dead."""

    id: MemberId


@dataclass(frozen=True)
class Resumed:
    """The launcher goes on after a pause in which it could hear nobody, such as by SIGSTOP."""


@dataclass(frozen=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True)
class Closed:
    """The launcher stops."""


Event = Registered | Beat | Delayed | Left | Finished | Prepared | Assigned | Arrived | Gone | Resumed | Tick | Closed


@dataclass(frozen=True)
class Prepare:
    """Let the backend say how a worker's processes start before its first epoch, and answer with `Prepared`."""

    member: Member


@dataclass(frozen=True)
class Assign:
    """Let the backend assign ranks to the members of a new epoch, and answer with `Assigned`."""

    membership: Membership
    members: tuple[Member, ...]
    held: tuple[Member, ...] = ()
    """The other workers whose processes may join a later epoch."""


@dataclass(frozen=True)
class Announce:
    """Notify the processes that another epoch waits: they leave the current one after their next commit."""

    members: tuple[Member, ...]
    """The members of the current epoch."""
    since: float
    """When this epoch was first announced."""
    again: bool
    """Whether it was announced before."""


Order = Prepare | Assign | Announce
