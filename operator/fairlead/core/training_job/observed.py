"""What is observed of a TrainingJob: the facts that its planner decides by."""

from dataclasses import dataclass

from fairlead.api.base import ArtifactRef
from fairlead.api.training_job import Progress
from fairlead.core.artifacts import ArtifactFacts
from fairlead.core.views import PodView


@dataclass(frozen=True)
class Gate:
    """The artifacts that a job waits for, as read from the store."""

    dataset: ArtifactFacts | None = None
    """None: the job names no dataset."""
    validation: ArtifactFacts | None = None
    """None: none is required, or the dataset could not be read."""

    @property
    def artifacts(self) -> tuple[ArtifactRef, ...]:
        """Return what was found, for the job's provenance."""
        found = (("dataset", self.dataset), ("validation", self.validation))
        return tuple(
            ArtifactRef(name=name, uri=facts.uri, digest=facts.digest)
            for name, facts in found
            if facts and facts.digest
        )


@dataclass(frozen=True)
class ObservedJob:
    """Everything that is observed of one TrainingJob."""

    pods: tuple[PodView, ...] = ()
    has_service: bool = False
    gate: Gate | None = None
    """None: not read, as the job has started."""
    progress: Progress | None = None
    """The launcher's latest report, if it answered."""
