"""The few facts of a child that planners read, as the cache keeps them."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PodView:
    """What planners read of a pod."""

    name: str
    uid: str
    role: str = ""
    index: int = 0
    attempt: int = 0
    phase: str = "Pending"
    deleting: bool = False
    ip: str | None = None
    exit_code: int | None = None
    termination_message: str = ""
    waiting: str = ""
    """Why it does not start, such as `ErrImagePull: …`; empty when nothing is wrong."""
    restarts: int = 0
    created: datetime | None = None

    @property
    def finished(self) -> bool:
        """Return whether its containers have ended."""
        return self.phase in ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class ChildView:
    """What planners read of a Deployment, Service or ConfigMap."""

    name: str
    uid: str
    applied_hash: str = ""
    cluster_ip: str | None = None
    """Where it answers (Services)."""
    replicas: int = 0
    """Pods of the current template that exist (Deployments)."""
    ready: int = 0
    """Pods of the current template that are ready (Deployments)."""
    settled: bool = False
    """Its controller has seen the current template, and no pod of an older one is left (Deployments)."""
