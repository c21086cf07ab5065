"""The paths below FAIRLEAD_HOME, and the checkout."""

import os
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
"""The repository: this distribution runs from a checkout, because it builds what it needs from source."""


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
        """One Python environment per component."""
        return self.root / "envs"

    @property
    def wheels(self) -> Path:
        """Locally built wheels."""
        return self.root / "wheels"

    @property
    def logs(self) -> Path:
        """Log files: one per step in `setup/`, those of the last cluster that was stopped in `cluster/`."""
        return self.root / "logs"

    @property
    def cluster(self) -> Path:
        """The local cluster's state: kubeconfig, etcd's data, pods, logs."""
        return self.root / "cluster"
