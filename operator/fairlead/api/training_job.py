"""TrainingJob: distributed training pods, from a pod template to a model artifact."""

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from fairlead.api.base import (
    ARTIFACT_URI,
    DIGEST,
    LIST_MAP_BY_TYPE,
    ApiModel,
    ArtifactRef,
    Conditions,
    Resource,
    Rule,
    StatusModel,
)
from fairlead.api.group import API_VERSION
from fairlead.api.pod_template import TrainerTemplate

MAX_NAME = 50
"""Leaves room for `-worker-511` in a 63-character DNS label."""
MAX_WORKERS = 512


class Workers(ApiModel):
    """The pods that train."""

    replicas: int = Field(1, ge=1, le=MAX_WORKERS)
    """How many worker pods."""
    slots: int = Field(1, ge=1, le=64)
    """Processes per worker, usually GPUs per worker."""
    template: TrainerTemplate
    """The worker pods; the container named `trainer` is the training container."""


class Elastic(ApiModel):
    """Bounds within which the number of workers may change while the job runs."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.minReplicas <= self.maxReplicas",
            "minReplicas: expected at most maxReplicas",
            lambda elastic: elastic.min_replicas <= elastic.max_replicas,
            "'minReplicas: got %d, expected at most maxReplicas, %d'.format([self.minReplicas, self.maxReplicas])",
            field=".minReplicas",
        ),
    )

    min_replicas: int = Field(1, ge=1, le=MAX_WORKERS)
    """The job runs on with no fewer."""
    max_replicas: int = Field(ge=1, le=MAX_WORKERS)
    """The job takes no more."""


class Dataset(ApiModel):
    """What the job trains on."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!self.requireValidation || has(self.digest)",
            "digest: got none, expected the digest that the validation is bound to, as requireValidation is true",
            lambda dataset: not dataset.require_validation or dataset.digest is not None,
            field=".digest",
        ),
    )

    uri: str = Field(max_length=1024, pattern=ARTIFACT_URI)
    """The dataset artifact: s3://bucket/path or file:///path."""
    digest: str | None = Field(None, max_length=71, pattern=DIGEST)
    """The SHA-256 of its manifest; data that does not match is refused."""
    require_validation: bool = False
    """Keep the job Blocked until a passing validation result for exactly this digest exists."""


class ModelOutput(ApiModel):
    """Where the trained model goes."""

    uri: str = Field(max_length=1024, pattern=ARTIFACT_URI)
    """The artifact folder; each run writes a version below it."""


class RunPolicy(ApiModel):
    """How long and how often the job is tried, and what remains of it."""

    suspend: bool = False
    """Hold the job: its pods are deleted, or not made."""
    backoff_limit: int = Field(3, ge=0, le=100)
    """How many times the job is started again after a failure."""
    active_deadline_seconds: int | None = Field(None, ge=1)
    """Fail the job when it has been active for longer."""
    pre_running_deadline_seconds: int | None = Field(600, ge=1)
    """Fail the job when not all of its pods run after this time."""
    clean_pod_policy: Literal["None", "Running", "All"] = "Running"
    """Which pods are deleted when the job has finished."""


class TrainingJobSpec(ApiModel):
    """The training that is wanted."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.workers.replicas == oldSelf.workers.replicas && self.workers.slots == oldSelf.workers.slots",
            "workers: the size of a job that exists cannot change; create another job",
            field=".workers",
        ),
        Rule(
            "has(self.dataset) == has(oldSelf.dataset) && (!has(self.dataset) || self.dataset == oldSelf.dataset)",
            "dataset: cannot change on a job that exists; create another job",
            field=".dataset",
        ),
        Rule(
            "has(self.model) == has(oldSelf.model) && (!has(self.model) || self.model == oldSelf.model)",
            "model: cannot change on a job that exists; create another job",
            field=".model",
        ),
    )

    launcher: Literal["Horovod"] = "Horovod"
    """What starts the processes and connects them."""
    workers: Workers
    """The pods that train."""
    elastic: Elastic | None = None
    """Bounds of an elastic job; absent: fixed size."""
    dataset: Dataset | None = None
    """What the job trains on; the agents fetch and verify it before the command starts."""
    model: ModelOutput | None = None
    """Where the trained model goes."""
    run_policy: RunPolicy = RunPolicy()
    """How long and how often the job is tried, and what remains of it."""


class Progress(StatusModel):
    """How far the training is, as rank 0 reports it."""

    step: int = 0
    """Optimizer steps done."""
    total_steps: int | None = None
    """Optimizer steps to do."""
    epoch: int | None = None
    """The current pass over the data."""
    samples_per_second: float | None = None
    """Training throughput over all workers."""
    eta_seconds: float | None = None
    """Estimated time left."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """The latest values, such as the loss."""
    updated_at: datetime | None = None
    """When the operator last read it."""

    @field_validator("metrics")
    @classmethod
    def _round(cls, metrics: dict[str, float]) -> dict[str, float]:
        """Keep six digits: more are noise in a table."""
        return {name: float(f"{value:.6g}") for name, value in metrics.items()}


class WorkerCounts(StatusModel):
    """The pods that train, counted."""

    ready: int = 0
    """Worker pods that run."""
    desired: int = 0
    """Worker pods that the job wants."""
    restarts: int = 0
    """How many times all pods were started again; the current attempt's number."""


class TrainingJobStatus(StatusModel):
    """What was last observed of the job."""

    observed_generation: int = 0
    """The spec's generation that this status speaks of."""
    conditions: Conditions = Field((), json_schema_extra=LIST_MAP_BY_TYPE)
    """Created, Blocked, Running, Restarting, Suspended, Succeeded, Failed."""
    phase: str = ""
    """The condition that matters most, in a word, for people."""
    start_time: datetime | None = None
    """When pods were first made."""
    completion_time: datetime | None = None
    """When the job succeeded or failed."""
    workers: WorkerCounts = WorkerCounts()
    """The pods that train, counted."""
    progress: Progress | None = None
    """How far the training is."""
    model_version: str | None = None
    """The version that this run wrote below spec.model.uri."""
    provenance: tuple[ArtifactRef, ...] = ()
    """The artifacts that this job read and wrote."""


class TrainingJob(Resource):
    """Distributed training, from a pod template to a model artifact."""

    max_name: ClassVar[int] = MAX_NAME

    api_version: Literal["fairlead.dev/v1alpha1"] = API_VERSION  # type: ignore[assignment]
    kind: Literal["TrainingJob"] = "TrainingJob"
    spec: TrainingJobSpec
    """The training that is wanted."""
    status: TrainingJobStatus = TrainingJobStatus()
    """What was last observed of the job."""
