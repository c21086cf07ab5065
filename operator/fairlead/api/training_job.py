"""TrainingJob: distributed training that runs a pod template and publishes a model artifact."""

from typing import ClassVar, Literal

from pydantic import Field

from fairlead.api.base import (
    ARTIFACT_URI,
    DIGEST,
    ApiModel,
    Resource,
    Rule,
)
from fairlead.api.group import API_VERSION
from fairlead.api.job_changes import HELD_FIELDS, finished, immutable
from fairlead.api.pod_template import LauncherTemplate, TrainerTemplate
from fairlead.api.run_policy import RunPolicy
from fairlead.api.signatures import PublicKeys
from fairlead.api.tracking import Tracking
from fairlead.api.training_job_status import TrainingJobStatus

MAX_NAME = 50
"""Leaves room for the suffix `-worker-511` in a 63-character DNS label."""
MAX_WORKERS = 512


class Workers(ApiModel):
    """The worker pods."""

    replicas: int = Field(1, ge=1, le=MAX_WORKERS)
    """The number of worker pods."""
    slots: int = Field(1, ge=1, le=64)
    """The number of processes per worker, usually one per GPU."""
    template: TrainerTemplate
    """The template of the worker pods. The container named `trainer` runs the training."""


class Elastic(ApiModel):
    """The bounds of the number of workers while the job runs. Below the minimum it waits, above it goes on."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.minReplicas < self.maxReplicas",
            "minReplicas: expected less than maxReplicas; omit elastic for a fixed number of workers",
            lambda elastic: elastic.min_replicas < elastic.max_replicas,
            "'minReplicas: got %d, expected less than maxReplicas, %d; omit elastic for a fixed number of workers'"
            ".format([self.minReplicas, self.maxReplicas])",
            field=".minReplicas",
        ),
    )

    min_replicas: int = Field(1, ge=1, le=MAX_WORKERS)
    """The minimum number of workers."""
    max_replicas: int = Field(ge=1, le=MAX_WORKERS)
    """The maximum number of workers."""
    host_cooldown_seconds: int = Field(30, ge=1, le=86_399)
    """The number of seconds after which a worker that has failed is replaced; doubled each time that it fails again."""


class Dataset(ApiModel):
    """The dataset to train on."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!self.requireValidation || has(self.digest)",
            "digest: got none, expected the digest of the validated dataset, because requireValidation is true",
            lambda dataset: not dataset.require_validation or dataset.digest is not None,
            field=".digest",
        ),
        Rule(
            "!has(self.suite) || self.requireValidation",
            "suite: has no effect, because requireValidation is false",
            lambda dataset: dataset.suite is None or dataset.require_validation,
            field=".suite",
        ),
        Rule(
            "!has(self.publicKeys) || size(self.publicKeys) == 0 || self.requireValidation",
            "publicKeys: have no effect, because requireValidation is false",
            lambda dataset: not dataset.public_keys or dataset.require_validation,
            field=".publicKeys",
        ),
    )

    uri: str = Field(max_length=1024, pattern=ARTIFACT_URI)
    """The URI of the dataset artifact: s3://bucket/path or file:///path."""
    digest: str | None = Field(None, max_length=71, pattern=DIGEST)
    """The expected SHA-256 digest of its manifest. A dataset with another digest is rejected."""
    require_validation: bool = False
    """Keep the job Blocked until a passing validation result for this digest exists."""
    suite: str | None = Field(None, max_length=71, pattern=DIGEST)
    """The digest of the expectations that must have passed; if unset, a passing result of any suite counts."""
    public_keys: PublicKeys = Field([])
    """Ed25519 public keys in PEM. If there are some, only a validation result that one of them has signed counts."""


class ModelOutput(ApiModel):
    """Where the trained model is published."""

    uri: str = Field(max_length=1024, pattern=ARTIFACT_URI)
    """The URI below which each run publishes its model version."""


class Checkpoint(ApiModel):
    """Where and when the training script saves its state, with `fairlead_trainer.checkpoint`."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.everySteps) || has(self.everySeconds)",
            "everySteps: got none, expected everySteps or everySeconds",
            lambda checkpoint: checkpoint.every_steps is not None or checkpoint.every_seconds is not None,
            field=".everySteps",
        ),
    )

    uri: str = Field(max_length=1024, pattern=ARTIFACT_URI)
    """The URI below which jobs publish their checkpoints. A job that is restarted continues from its own last one."""
    every_steps: int | None = Field(None, ge=1, le=999_999_999)
    """The number of steps between two checkpoints."""
    every_seconds: int | None = Field(None, ge=1, le=86_399)
    """The number of seconds between two checkpoints, approximately."""
    keep: int = Field(3, ge=1, le=1000)
    """How many checkpoints of the job are kept."""
    restore_from: str = Field("Latest", max_length=1024, pattern=f"^Latest$|{ARTIFACT_URI}")
    """`Latest`: a new job starts from scratch. A URI: it starts from this checkpoint, or the last one below it."""

    @property
    def restore_uri(self) -> str | None:
        """Return the URI with whose checkpoint a new job starts."""
        return None if self.restore_from == "Latest" else self.restore_from


class JobFields(ApiModel):
    """What a job says, and a template of jobs."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.elastic) || (self.elastic.minReplicas <= self.workers.replicas"
            " && self.workers.replicas <= self.elastic.maxReplicas)",
            "workers.replicas: expected at least elastic.minReplicas and at most elastic.maxReplicas",
            lambda spec: (
                spec.elastic is None or spec.elastic.min_replicas <= spec.workers.replicas <= spec.elastic.max_replicas
            ),
            field=".workers.replicas",
        ),
        Rule(
            "!has(self.elastic) || !has(self.runPolicy.schedulingPolicy)"
            " || !has(self.runPolicy.schedulingPolicy.kueue)",
            "elastic: expected none with runPolicy.schedulingPolicy.kueue, whose groups of pods have a fixed size",
            lambda spec: spec.elastic is None or not spec.run_policy.uses_kueue,
            field=".elastic",
        ),
    )

    launcher: Literal["Horovod", "Torchrun"] = "Horovod"
    """The framework that launches and connects the training processes."""
    launcher_template: LauncherTemplate | None = None
    """The template of the launcher pod, such as its resources, labels and affinity."""
    workers: Workers
    """The worker pods."""
    elastic: Elastic | None = None
    """The bounds of an elastic job; omit it for a fixed number of workers. With launcher Torchrun, each change of the
    workers starts all processes anew, and the script must go on from its own snapshots or checkpoints."""
    dataset: Dataset | None = None
    """The dataset to train on. Workers download and verify it before the training command starts."""
    model: ModelOutput | None = None
    """Where the trained model is published."""
    checkpoint: Checkpoint | None = None
    """Where and when the training script saves its state."""
    tracking: Tracking | None = None
    """Where the job is recorded."""
    run_policy: RunPolicy = RunPolicy()
    """Suspension, retries, deadlines and cleanup of the job."""


class TrainingJobSpec(JobFields):
    """The desired state of the job."""

    cel: ClassVar[tuple[Rule, ...]] = (
        immutable("launcher"),
        immutable("workers.slots"),
        immutable("elastic", optional=True),
        immutable("dataset", optional=True),
        immutable("model", optional=True),
        immutable("checkpoint", optional=True),
        immutable("tracking", optional=True),
        immutable("runPolicy.managedBy", optional=True),
    )


class TrainingJob(Resource):
    """Distributed training that runs a pod template and publishes a model artifact."""

    max_name: ClassVar[int] = MAX_NAME
    cel: ClassVar[tuple[Rule, ...]] = (
        finished(TrainingJobSpec.aliases(), RunPolicy.aliases()),
        *HELD_FIELDS,
    )

    api_version: Literal["fairlead.dev/v1alpha1"] = API_VERSION  # type: ignore[assignment]
    kind: Literal["TrainingJob"] = "TrainingJob"
    spec: TrainingJobSpec
    """The desired state of the job."""
    status: TrainingJobStatus = TrainingJobStatus()
    """The most recently observed state of the job."""
