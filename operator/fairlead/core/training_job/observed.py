"""The observed state of a TrainingJob, the input of its planner."""

from dataclasses import dataclass

from fairlead.api.base import ArtifactRef
from fairlead.api.training_job import Progress
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
class ObservedJob:
    """The observed state of a TrainingJob."""

    pods: tuple[PodView, ...] = ()
    has_service: bool = False
    gate: Gate | None = None
    """None if the job has started, so that it was not read."""
    progress: Progress | None = None
    """The latest progress that the launcher reported."""
    rejection: Finding | None = None
    """Why the API server has just rejected a child, such as a pod that exceeds a quota."""
