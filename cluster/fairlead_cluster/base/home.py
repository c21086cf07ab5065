"""Where things live on a machine, below FAIRLEAD_HOME, and in the checkout."""

import os
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
"""The repository: the local cluster runs from a checkout, as it builds what it needs from its sources."""


def default_home() -> Path:
    """Return $FAIRLEAD_HOME, or ~/.fairlead."""
    return Path(os.environ.get("FAIRLEAD_HOME") or Path.home() / ".fairlead").absolute()


@dataclass(frozen=True)
class Home:
    """The layout of a FAIRLEAD_HOME."""

    root: Path

    @property
    def bin(self) -> Path:
        """The Kubernetes binary under its names, and the components' commands."""
        return self.root / "bin"

    @property
    def kube(self) -> Path:
        """The Kubernetes binary."""
        return self.bin / "kube"

    @property
    def envs(self) -> Path:
        """One Python environment a component."""
        return self.root / "envs"

    @property
    def wheels(self) -> Path:
        """Wheels that were built here."""
        return self.root / "wheels"

    @property
    def logs(self) -> Path:
        """Log files: `setup/` has one a step, `cluster/` those of the cluster that was taken down last."""
        return self.root / "logs"

    @property
    def cluster(self) -> Path:
        """The local cluster's state: kubeconfig, etcd's data, pods, logs."""
        return self.root / "cluster"
