"""The observed state of a TrainingJob, the input of its planner."""

from dataclasses import dataclass, field
from datetime import datetime

from fairlead.api.base import ArtifactRef
from fairlead.api.tracking import MlflowRun
from fairlead.api.training_job_status import ElasticStatus, Progress
from fairlead.core.artifacts import ArtifactFacts
from fairlead.core.conditions import Finding
from fairlead.core.views import PodView


@dataclass(frozen=True)
class Gate:
    """The artifacts that a job waits for, as read from the artifact store."""

    dataset: ArtifactFacts | None = None
    """None if the job has no dataset."""
    validation: ArtifactFacts | None = None
    """None if it is not required, or if the dataset could not be read."""
    pending: bool = False
    """They are still being read; the job is reconciled again afterwards."""

    @property
    def artifacts(self) -> tuple[ArtifactRef, ...]:
        """Return the artifacts that exist, for the job's provenance."""
        found = (("dataset", self.dataset), ("validation", self.validation))
        return tuple(
            ArtifactRef(name=name, uri=facts.uri, digest=facts.digest)
            for name, facts in found
            if facts and facts.digest
        )


@dataclass(frozen=True)
class WorkerDelay:
    """What a worker does beside its training that takes long or fails."""

    worker: int
    activity: str


@dataclass(frozen=True)
class LauncherReport:
    """What a launcher reported of its run: the bounded fields of its status that planners read.

    Reports are equal if they say the same, whenever they were read.
    """

    registered: int = 0
    """The number of workers that have registered."""
    desired: int = 0
    """The number of workers that the launcher expects."""
    missing: tuple[int, ...] = ()
    """The indices of the first workers that have not registered."""
    until: datetime | None = field(default=None, compare=False)
    """When the launcher fails the attempt; None before the first worker registers."""
    delays: tuple[WorkerDelay, ...] = ()
    """What keeps the first workers that are delayed."""
    progress: Progress | None = None
    """The latest progress; None until the training reports it."""
    elastic: ElasticStatus | None = None
    """What has become of an elastic job's workers; None before they train."""
    tracking: MlflowRun | None = None
    """The record of the job in MLflow; None if it has none."""
    read: datetime | None = field(default=None, compare=False)
    """When the launcher was last asked and answered."""
    step: int | None = field(default=None, compare=False)
    """The step in that answer, which may be newer than `progress`; None until the training reports it."""

    @property
    def complete(self) -> bool:
        """Return whether the launcher waits for no worker."""
        return self.registered >= self.desired


@dataclass(frozen=True)
class Launcher:
    """What is known of the current attempt's launcher from itself."""

    report: LauncherReport | None = None
    """Its latest report; None until one was read."""
    silent_since: datetime | None = None
    """Since when it could not be read; None if it answers, or was not asked yet."""


@dataclass(frozen=True)
class ObservedJob:
    """The observed state of a TrainingJob."""

    pods: tuple[PodView, ...] = ()
    service_uid: str = ""
    """The uid of its Service; empty if it has none."""
    gate: Gate | None = None
    """None if the job has started, so that it was not read."""
    launcher: Launcher = Launcher()
    """What the launcher of the current attempt reports."""
    rejection: Finding | None = None
    """Why the API server has just rejected a child, such as a pod that exceeds a quota."""
