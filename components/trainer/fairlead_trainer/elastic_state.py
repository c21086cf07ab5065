"""What only runs of a variable size must remember, beside the state of any run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fairlead_contracts.launcher_status import ResizeReason
from fairlead_contracts.termination import Failure

from .backends.base import Slot
from .membership import MemberId


@dataclass(frozen=True)
class Announcement:
    """An epoch that the processes were notified of."""

    members: tuple[MemberId, ...]
    since: float
    """When they were first notified."""
    told: float
    """When they were last notified."""


@dataclass(frozen=True)
class Breakdown:
    """A member whose processes have failed in the current epoch, for a reason that is not known yet."""

    id: MemberId
    failure: Failure
    at: float
    """When its agent reported it."""


@dataclass(frozen=True)
class Setback:
    """Processes have failed although no worker was lost."""

    step: int
    """How far the run had come at most by then."""
    at: float
    """When that was judged."""
    times: int = 1
    """How many times in a row, without having come further in between."""


@dataclass(frozen=True)
class Elastic:
    """The state that only runs of a variable size have."""

    waiting: frozenset[MemberId] = frozenset()
    """The members with a process that has left the current epoch and waits for the next one."""
    arrived: frozenset[MemberId] = frozenset()
    """Those of whom all processes do."""
    left_since: float | None = None
    """When the first process left the current epoch."""
    lost_since: float | None = None
    """When a member of the current epoch was last lost."""
    failed: Mapping[str, float] = field(default_factory=dict)
    """When a worker last failed on a host."""
    lost_workers: int = 0
    """How many workers were lost while they trained."""
    lost_steps: int = 0
    """How many steps were done again after losses."""
    reason: ResizeReason | None = None
    """Why the current epoch began; None for the first one."""
    short_since: float | None = None
    """Since when too few workers have been there."""
    announced: Announcement | None = None
    late: Mapping[MemberId, float] = field(default_factory=dict)
    """The workers with processes that hang in an earlier epoch, and since when the others go on without them."""
    prepared: Mapping[MemberId, Sequence[Slot]] = field(default_factory=dict)
    """The processes that each worker starts before its first epoch; none until the backend has said how."""
    ready: Mapping[MemberId, float] = field(default_factory=dict)
    """The workers outside the current epoch whose processes wait for the next one, and since when."""
    gone: frozenset[MemberId] = frozenset()
    """The members with a process that waited for the next epoch and does not any more."""
    failed_starts: frozenset[int] = frozenset()
    """The workers whose processes have failed before the first epoch, and not asked for a place since."""
    recalled_since: float | None = None
    """Since when agents are asked to stop the processes of the current epoch, which they restart for the next one."""
    broken: tuple[Breakdown, ...] = ()
    """The members whose processes have failed in the current epoch, in the order of their reports."""
    setback: Setback | None = None
    """The last time that processes failed although no worker was lost; None if they never did."""
    unreported: bool = False
    """Whether the processes that were started anew for the current epoch have not reported any progress yet."""
