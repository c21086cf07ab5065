"""The parts of the pod and the node that a container needs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from fairlead_cluster.local.node.environment import Sources
from fairlead_cluster.local.node.images import Images
from fairlead_cluster.local.node.objects import Object

Report = Callable[[str, str, str], None]
"""Accepts an event's type (Normal, Warning), reason and message."""


@dataclass(frozen=True)
class Machine:
    """Paths of the node."""

    images: Images
    pods: Path
    """One folder per pod."""
    hosts: Path
    """The hosts file that the pods' processes read."""


@dataclass
class PodContext:
    """A pod as its containers see it."""

    pod: Object
    folder: Path
    machine: Machine
    load_sources: Callable[[], Awaitable[Sources]]
    changed: Callable[[], None]
    """Called when a container's state has changed."""
    report: Report
    volumes: dict[str, Path] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """The pod's address."""
        return str(self.pod["status"]["podIP"])

    @property
    def restart_policy(self) -> str:
        """Always, OnFailure or Never."""
        return str(self.pod["spec"].get("restartPolicy", "Always"))

    def container_folder(self, name: str) -> Path:
        """Return the folder of a container."""
        return self.folder / "containers" / name
