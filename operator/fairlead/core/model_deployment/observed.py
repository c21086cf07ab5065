"""What the planner of a ModelDeployment is told about the world."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fairlead.api.base import ArtifactRef
from fairlead.core.conditions import Finding
from fairlead.core.plan import PodView


@dataclass(frozen=True)
class ChildView:
    """What the planner reads of a Deployment, Service or ConfigMap."""

    name: str
    uid: str
    applied_hash: str = ""
    replicas: int = 0
    """Pods of the current template that exist (Deployments)."""
    ready: int = 0
    """Pods of the current template that are ready."""
    settled: bool = False
    """Its controller has seen the current template, and no pod of an older one is left."""


@dataclass(frozen=True)
class Artifacts:
    """The artifacts of a graph, as read from the store."""

    digests: Mapping[str, str] = field(default_factory=dict)
    """modelUri -> digest."""
    chain: tuple[ArtifactRef, ...] = ()
    """What is served, and what it was made from."""
    finding: Finding | None = None
    """Why one of them cannot be served."""


@dataclass(frozen=True)
class ObservedDeployment:
    """Everything that is observed of one ModelDeployment."""

    deployments: tuple[ChildView, ...] = ()
    services: tuple[ChildView, ...] = ()
    config_maps: tuple[ChildView, ...] = ()
    pods: tuple[PodView, ...] = ()
    artifacts: Artifacts = Artifacts()
    answering: Finding | None = None
    """None: the Service answered that it is ready; else why it did not."""
