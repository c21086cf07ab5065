"""The status of a TrainingJob: what the operator has observed of it."""

from datetime import datetime

from pydantic import Field, field_validator

from fairlead.api.base import ATOMIC_MAP, LIST_MAP_BY_TYPE, ArtifactRef, Conditions, StatusModel
from fairlead.api.tracking import TrackingStatus

MAX_REPLACED = 32


class Progress(StatusModel):
    """The training progress, as reported by rank 0."""

    step: int = 0
    """The number of completed optimizer steps."""
    total_steps: int | None = None
    """The total number of optimizer steps."""
    epoch: int | None = None
    """The current epoch."""
    checkpoint_step: int | None = None
    """The step of the last complete checkpoint."""
    checkpoint_seconds: float | None = None
    """How long the last complete checkpoint took to be written, beside the training, in seconds."""
    checkpoint_bytes: int | None = None
    """The size of the last complete checkpoint, in bytes."""
    resumed_from_step: int | None = None
    """The step of the checkpoint from which the current attempt continued."""
    damaged_steps: tuple[int, ...] | None = None
    """The steps of later checkpoints that are damaged, so that it continued from an earlier one."""
    samples_per_second: float | None = None
    """The training throughput of all workers together."""
    eta_seconds: float | None = None
    """The estimated remaining time, in seconds."""
    metrics: dict[str, float] = Field(default_factory=dict, json_schema_extra=ATOMIC_MAP)
    """The latest metrics, such as the loss."""
    updated_at: datetime | None = None
    """When the operator last updated the progress."""
    stepped_at: datetime | None = None
    """When the operator last saw the step change."""

    @field_validator("metrics")
    @classmethod
    def _round(cls, metrics: dict[str, float]) -> dict[str, float]:
        """Round to six significant digits."""
        return {name: float(f"{value:.6g}") for name, value in metrics.items()}


class WorkerCounts(StatusModel):
    """The number of workers and restarts."""

    ready: int = 0
    """The number of running worker pods."""
    desired: int = 0
    """The desired number of worker pods."""
    restarts: int = 0
    """How many times the pods were restarted, which is also the number of the current attempt."""
    disruptions: int = 0
    """How many of these restarts were due to disruptions and not to failures."""

    @property
    def failures(self) -> int:
        """Return the number of restarts that count for backoffLimit."""
        return self.restarts - self.disruptions


class ReplacedWorker(StatusModel):
    """A worker that was replaced in the current attempt."""

    worker: int
    """The worker's index."""
    times: int
    """How many times it was replaced since it last ran for long."""
    uid: str | None = None
    """The uid of the last pod that was counted."""


class ElasticStatus(StatusModel):
    """What has become of the workers of an elastic job in the current attempt."""

    epoch: int = 0
    """How many times the set of training workers has changed."""
    workers: int = 0
    """The number of workers that train together."""
    lost_workers: int = 0
    """How many workers were lost while they trained."""
    lost_steps: int = 0
    """How many steps had to be repeated after losses, as far as the script reports its progress."""
    reason: str | None = None
    """Why the set last changed: WorkersLost, WorkersLeft, WorkersJoined, or Restarted."""
    replaced: tuple[ReplacedWorker, ...] = Field((), max_length=MAX_REPLACED)
    """The workers that were replaced last."""


class TrainingJobStatus(StatusModel):
    """The most recently observed state of the job."""

    observed_generation: int = 0
    """The most recent generation that the operator observed."""
    conditions: Conditions = Field((), json_schema_extra=LIST_MAP_BY_TYPE)
    """Created, Blocked, Running, Restarting, Suspended, Succeeded, Failed; Ready, Reconciling, Stalled (kstatus)."""
    phase: str = ""
    """A one-word summary of the conditions, for display."""
    start_time: datetime | None = None
    """When the first pods were created."""
    completion_time: datetime | None = None
    """When the job succeeded or failed."""
    workers: WorkerCounts = WorkerCounts()
    """The number of workers and restarts."""
    selector: str | None = None
    """The label selector of an elastic job's worker pods, for `kubectl scale` and autoscalers."""
    elastic: ElasticStatus | None = None
    """What has become of the workers of an elastic job in the current attempt."""
    next_attempt_time: datetime | None = None
    """When the pods of the next attempt are created; absent unless the job restarts."""
    progress: Progress | None = None
    """The training progress."""
    resumed_from_step: int | None = None
    """The step of the checkpoint from which the training last continued."""
    tracking: TrackingStatus | None = None
    """Where the job is recorded."""
    model_version: str | None = None
    """The model version that this run published below spec.model.uri."""
    provenance: tuple[ArtifactRef, ...] = ()
    """The artifacts that the job read and published."""
