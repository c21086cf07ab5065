"""The launcher's status: served at /status on LAUNCHER_PORT to the operator, unsigned and read-only."""

from typing import ClassVar, Literal

from pydantic import Field

from .base import Contract
from .environment import MAX_WORKERS
from .progress import ProgressReport

PATH = "/status"
Phase = Literal["Waiting", "Running", "Succeeded", "Failed"]


class ReadyWorkers(Contract):
    """The numbers of workers."""

    ready: int = Field(ge=0, le=MAX_WORKERS)
    """Workers that send heartbeats or have finished."""
    desired: int = Field(ge=0, le=MAX_WORKERS)
    """All workers of the job."""


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
    progress: ProgressReport | None = None
    """The last progress; None until the script reports it."""
