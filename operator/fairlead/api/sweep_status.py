"""The status of a Sweep: its trials as far as they have been observed, and the best one."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from fairlead.api.base import ATOMIC_MAP, LIST_MAP_BY_TYPE, ArtifactRef, Conditions, StatusModel

MAX_TRIALS = 500
TrialState = Literal["Pending", "Running", "Succeeded", "Pruned", "Failed", "Stopped"]
ACTIVE: tuple[TrialState, ...] = ("Pending", "Running")
"""The states of trials that have not ended: they count for spec.parallelism."""


class TrialStatus(StatusModel):
    """A trial: its parameters, and what became of it."""

    number: int = Field(ge=1, le=MAX_TRIALS)
    """Its number. Its TrainingJob is named after the sweep and this number, in four digits."""
    state: TrialState = "Pending"
    """Pending: its job has not started. Pruned: stopped, because others were better at the same step. Stopped: the
    sweep ended first."""
    parameters: dict[str, str] = Field(default_factory=dict, json_schema_extra=ATOMIC_MAP)
    """The values of the parameters."""
    value: float | None = None
    """The objective, as last reported; while the trial runs, at its last rung."""
    step: int | None = None
    """The training step that the value is of."""
    rungs: tuple[float, ...] = Field((), max_length=64)
    """The objective at each rung that the trial has reached, in order."""
    message: str | None = Field(None, max_length=512)
    """Why the trial failed or was pruned."""

    @property
    def active(self) -> bool:
        """Return whether the trial has not ended."""
        return self.state in ACTIVE


class TrialCounts(StatusModel):
    """The number of trials in each state."""

    total: int = 0
    """All trials that have been created."""
    pending: int = 0
    """Those whose job has not started."""
    running: int = 0
    """Those whose job has started."""
    succeeded: int = 0
    """Those that ended with a value."""
    pruned: int = 0
    """Those that were stopped because others were better."""
    failed: int = 0
    """Those whose job failed, was deleted, or did not report the objective."""
    stopped: int = 0
    """Those that ran when the sweep ended."""


class BestTrial(StatusModel):
    """The trial with the best value of those that have succeeded."""

    number: int
    """Its number."""
    job: str
    """The name of its TrainingJob."""
    value: float
    """Its value."""
    parameters: dict[str, str] = Field(default_factory=dict, json_schema_extra=ATOMIC_MAP)
    """The values of its parameters."""
    model: ArtifactRef | None = None
    """The model that it published, if the template has spec.model."""


class SweepStatus(StatusModel):
    """The most recently observed state of the sweep."""

    observed_generation: int = 0
    """The most recent generation that the operator observed."""
    conditions: Conditions = Field((), json_schema_extra=LIST_MAP_BY_TYPE)
    """Running, Blocked, Suspended, Succeeded, Failed; Ready, Reconciling, Stalled (kstatus)."""
    phase: str = ""
    """A one-word summary of the conditions, for display."""
    start_time: datetime | None = None
    """When the first trial was created; of a sweep that was suspended, when it was resumed."""
    completion_time: datetime | None = None
    """When the sweep succeeded or failed."""
    counts: TrialCounts = TrialCounts()
    """The number of trials in each state."""
    best: BestTrial | None = None
    """The best trial so far."""
    trials: tuple[TrialStatus, ...] = Field((), max_length=MAX_TRIALS)
    """Every trial, by number."""
