"""What is observed of a ModelDeployment: the facts that its planner decides by."""

from dataclasses import dataclass

from fairlead.api.base import ArtifactRef
from fairlead.core.artifacts import ArtifactFacts
from fairlead.core.views import ChildView, PodView


@dataclass(frozen=True)
class NodeArtifact:
    """The artifact of one graph node."""

    node: str
    model_uri: str
    artifact: ArtifactFacts


@dataclass(frozen=True)
class Artifacts:
    """The artifacts of all graphs, as read from the store."""

    nodes: tuple[NodeArtifact, ...] = ()
    """In the order of the graphs' nodes."""
    chain: tuple[ArtifactRef, ...] = ()
    """The models that could be read, and what they were made from."""

    @property
    def digests(self) -> dict[str, str]:
        """Return modelUri -> digest."""
        return {node.model_uri: node.artifact.digest for node in self.nodes}


@dataclass(frozen=True)
class ServiceAnswer:
    """What a deployment's Service answered when asked whether it is ready."""

    status: int | None = None
    """HTTP's status code; None: no answer."""
    error: str = ""
    """Why there was no answer."""


@dataclass(frozen=True)
class ObservedDeployment:
    """Everything that is observed of one ModelDeployment."""

    deployments: tuple[ChildView, ...] = ()
    services: tuple[ChildView, ...] = ()
    config_maps: tuple[ChildView, ...] = ()
    pods: tuple[PodView, ...] = ()
    artifacts: Artifacts = Artifacts()
    answer: ServiceAnswer | None = None
    """None: not asked, as no pod is ready."""
