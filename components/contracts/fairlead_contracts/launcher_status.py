"""The launcher's status: served at /status on LAUNCHER_PORT to the operator, unsigned and read-only."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .base import Contract
from .environment import MAX_WORKERS
from .progress import ProgressReport

PATH = "/status"
Phase = Literal["Waiting", "Running", "Succeeded", "Failed"]
"""Running means that every worker has registered."""
MAX_NAMED = 16
"""The maximum number of workers that are listed by index."""


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
    progress: ProgressReport | None = None
    """The last progress; None until the script reports it."""
