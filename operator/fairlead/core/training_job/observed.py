"""What the planner of a TrainingJob is told about the world."""

from dataclasses import dataclass

from fairlead.api.base import ArtifactRef
from fairlead.api.training_job import Progress
from fairlead.core.conditions import Finding
from fairlead.core.plan import PodView


@dataclass(frozen=True)
class Gate:
    """What is known of the dataset: the artifacts that were found, or why the job must wait."""

    finding: Finding | None = None
    artifacts: tuple[ArtifactRef, ...] = ()


@dataclass(frozen=True)
class ObservedJob:
    """Everything that is observed of one TrainingJob."""

    pods: tuple[PodView, ...] = ()
    has_key: bool = False
    has_service: bool = False
    gate: Gate | None = None
    """None: it was not looked at, as the job has started."""
    progress: Progress | None = None
    """The launcher's report, when it was asked and answered."""
