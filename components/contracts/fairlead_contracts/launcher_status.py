"""The launcher's status: served at /status on LAUNCHER_PORT to the operator, unsigned and read-only."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .base import PRINTABLE, Contract
from .environment import MAX_WORKERS
from .progress import ProgressReport
from .tracking import Tracked

PATH = "/status"
Phase = Literal["Waiting", "Running", "Succeeded", "Failed"]
"""Running means that every worker has registered."""
ResizeReason = Literal["WorkersLost", "WorkersLeft", "WorkersJoined", "Restarted"]
"""Restarted: the same workers have begun again, after an error of the framework."""
_LARGEST = (1 << 53) - 1
MAX_NAMED = 16
"""The maximum number of workers that are listed by index."""
MAX_DELAYS, MAX_DELAY = 3, 240
"""The maximum number of delays that are listed, and the length of each one's description."""


class ReadyWorkers(Contract):
    """The numbers of workers."""

    ready: int = Field(ge=0, le=MAX_WORKERS)
    """Workers that send heartbeats or have succeeded."""
    desired: int = Field(ge=0, le=MAX_WORKERS)
    """All workers of the job."""
    registered: int = Field(0, ge=0, le=MAX_WORKERS)
    """Workers that have registered in this attempt, whatever became of them."""


class Registration(Contract):
    """The wait for workers that have not registered."""

    workers: Annotated[tuple[int, ...], Field(max_length=MAX_NAMED, strict=False)]
    """The indices of the first missing workers."""
    since: datetime
    """When the wait began: when the launcher started."""
    until: datetime | None = None
    """When the attempt fails; None before the first worker registers, because the pods may wait for nodes."""


class Delay(Contract):
    """What a worker does beside its training that takes long or fails, such as fetching the dataset."""

    worker: int = Field(ge=0, lt=MAX_WORKERS)
    """The worker's index."""
    activity: str = Field(max_length=MAX_DELAY, pattern=PRINTABLE)
    """What it does since when, and the last error."""


class ElasticRun(Contract):
    """What has become of the workers of an elastic job in this attempt."""

    epoch: int = Field(ge=0, le=_LARGEST)
    """How many times the set of training workers has changed."""
    workers: int = Field(ge=0, le=MAX_WORKERS)
    """The number of workers that train together."""
    lost_workers: int = Field(0, ge=0, le=_LARGEST)
    """How many workers were lost while they trained."""
    lost_steps: int = Field(0, ge=0, le=_LARGEST)
    """How many steps had to be repeated after losses, as far as the script reports its progress."""
    reason: ResizeReason | None = None
    """Why the set last changed; None if it has not."""


class LauncherStatus(Contract):
    """The status of a run as seen by its launcher."""

    max_bytes: ClassVar[int] = 1 << 15

    schema_: Literal["fairlead.dev/launcher-status/v1"] = Field(
        "fairlead.dev/launcher-status/v1", alias="schema", exclude=True
    )
    phase: Phase
    """The phase of the run."""
    workers: ReadyWorkers
    """The numbers of workers."""
    waiting: Registration | None = None
    """What the launcher waits for; None when every worker has registered."""
    delays: Annotated[tuple[Delay, ...], Field(max_length=MAX_DELAYS, strict=False)] = ()
    """What keeps the first workers that are delayed."""
    progress: ProgressReport | None = None
    """The last progress; None until the script reports it."""
    elastic: ElasticRun | None = None
    """The workers of an elastic job; None until it trains, and for jobs of a fixed size."""
    tracking: Tracked | None = None
    """The record of the job in MLflow; None if it has none."""
