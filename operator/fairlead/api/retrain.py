"""How a model is trained again when requests have drifted, and how far that is."""

from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import Field

from fairlead.api.base import DNS_LABEL, ApiModel, ArtifactRef, Rule, StatusModel
from fairlead.api.pod_security import UNTYPED
from fairlead.api.pod_template import PodMeta
from fairlead.api.run_policy import MAX_SECONDS
from fairlead.api.training_job import JobFields

MAX_URI = 900
"""Leaves room for the name of a version in a modelUri."""
RetrainPhase = Literal["Training", "Converting", "Succeeded", "Failed"]


class JobTemplateSpec(JobFields):
    """What a TrainingJob says. Unlike a job's, it may change: a run trains what it says when the run begins."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.model)",
            "model: got none, expected where the trained models are published",
            lambda spec: spec.model is not None,
            field=".model",
        ),
        Rule(
            "!has(self.model) || size(self.model.uri) <= 900",
            "model.uri: expected at most 900 characters, to which versions are added",
            lambda spec: spec.model is None or len(spec.model.uri) <= MAX_URI,
            field=".model.uri",
        ),
        Rule(
            "has(self.dataset)",
            "dataset: got none, expected the dataset on which a trained model is compared with its conversion",
            lambda spec: spec.dataset is not None,
            field=".dataset",
        ),
        Rule(
            "!has(self.runPolicy.ttlSecondsAfterFinished)",
            "runPolicy.ttlSecondsAfterFinished: expected none, because a job is kept until the next run begins",
            lambda spec: spec.run_policy.ttl_seconds_after_finished is None,
            field=".runPolicy.ttlSecondsAfterFinished",
        ),
    )


class JobTemplate(ApiModel):
    """The template of a TrainingJob."""

    metadata: PodMeta | None = None
    """Labels and annotations of the job."""
    spec: JobTemplateSpec
    """The job. With `checkpoint` and its restoreFrom `Latest`, it starts with the last checkpoint of the job that
    trained the model before, if that one still exists or was a run's."""


class Conversion(ApiModel):
    """How a trained model is converted to ONNX, compared with its conversion on the split `eval` of the template's
    dataset, and published beside it. The options are those of fairlead-onnx-converter."""

    min_accuracy: float = Field(ge=0, le=1)
    """The least accuracy of the converted model; 0 for models that are no classifiers."""
    min_examples: int = Field(30, ge=1, le=1_000_000_000)
    """The least number of examples to compare on."""
    max_different: int = Field(0, ge=0, le=1_000_000_000)
    """How many of them may differ."""
    scale: float = 1.0
    """The model's input is value * scale + offset, of the dataset's values."""
    offset: float = 0.0
    """As above."""
    env_secret_ref_name: str | None = Field(None, max_length=253)
    """The name of a Secret with the environment variables for reading and publishing, such as AWS_ACCESS_KEY_ID."""
    resources: dict[str, Any] | None = Field(None, json_schema_extra=UNTYPED)
    """Requests and limits of the converter; by default 500m and 1Gi, with a limit of 4Gi."""


class Retrain(ApiModel):
    """How a model is trained again: one run for each drift, whose model becomes the candidate of a rollout."""

    node: str | None = Field(None, max_length=63, pattern=DNS_LABEL)
    """The node whose model is replaced; may be omitted if only one node of type MODEL has a modelUri."""
    template: JobTemplate
    """The TrainingJob of a run."""
    conversion: Conversion
    """How its model becomes one that the node can serve."""
    cool_down_seconds: int = Field(86_400, ge=1, le=MAX_SECONDS)
    """How long after the end of a run no other begins."""
    deadline_seconds: int = Field(86_400, ge=1, le=MAX_SECONDS)
    """How long a run may take, its conversion included; then it has failed, and what runs is deleted. Its model may
    wait as long for requireSignature or requireProvenance before it is withdrawn."""
    suspend: bool = False
    """Begin no run, and end the one that runs. A retrained model stays."""


class RetrainTarget(StatusModel):
    """A model of the spec, in whose place a retrained one is served for as long as the spec names it."""

    node: str
    """The node."""
    model_uri: str
    """Its modelUri in the spec."""
    digest: str | None = None
    """Its digest in the spec."""


class RetrainRun(StatusModel):
    """The last run, or the one in progress."""

    phase: RetrainPhase
    """Training, Converting, Succeeded (its model became the node's) or Failed."""
    drifted_since: datetime
    """The beginning of the drift for which it began."""
    template: str = Field(max_length=64)
    """A hash of the template with which it began: a drift has one run for each."""
    job: str = Field(max_length=63)
    """The name of its TrainingJob."""
    uid: str | None = Field(None, max_length=64)
    """The job's uid, once it exists."""
    target: RetrainTarget
    """The model that it replaces."""
    restore_from: str | None = Field(None, max_length=2048)
    """The checkpoints with which the job starts."""
    started_at: datetime
    """When it began."""
    ended_at: datetime | None = None
    """When it ended."""
    trained: ArtifactRef | None = None
    """The model that the job has published."""
    dataset: ArtifactRef | None = None
    """The dataset on which it was trained."""
    reason: str | None = Field(None, max_length=128)
    """How it ended, as one CamelCase word."""
    message: str | None = Field(None, max_length=2048)
    """How it ended, in the words of what failed."""


class RetrainedModel(StatusModel):
    """A model that a run has made."""

    target: RetrainTarget
    """The model that it replaces."""
    uri: str = Field(max_length=2048)
    """Where it is published."""
    digest: str = Field(max_length=71)
    """The digest of its manifest."""
    job: str = Field(max_length=63)
    """The TrainingJob that trained it."""
    checkpoints: str | None = Field(None, max_length=2048)
    """Where the checkpoints of that job are, if it saved some."""
    stable: bool = False
    """Whether a rollout has made it the stable revision's model."""


class RetrainStatus(StatusModel):
    """What has become of the runs."""

    run: RetrainRun | None = None
    """The last run, or the one in progress."""
    model: RetrainedModel | None = None
    """The model that is served, or is the candidate, in the place of the spec's."""
    previous: RetrainedModel | None = None
    """The retrained model before a candidate, which remains if that is rolled back."""
