"""Kueue and the scheduler with the coscheduling plugin, built from their Go modules as pinned in the folders here."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from fairlead_cluster.base.home import Home, default_home
from fairlead_cluster.base.steps import Step, run_steps
from fairlead_cluster.base.toolchain import QUICK, required_version, run_go
from rich.console import Console

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Program:
    """A Go program, and the module that it comes from."""

    name: str
    module: str
    package: str

    @property
    def version(self) -> str:
        """Return the version of the module."""
        return required_version(self.sources / "go.mod", self.module)

    @property
    def sources(self) -> Path:
        """Return the folder of its go.mod."""
        return _HERE / self.name

    @property
    def target(self) -> Path:
        """Return the path of the program, built or not."""
        return Home(default_home()).root / "schedulers" / f"{self.name}-{self.version}"

    def build(self) -> None:
        """Compile it if that was not done before, not optimized like all programs whose speed does not matter."""
        words = ["build", "-mod=readonly", *QUICK, "-o", self.target, self.package]
        step = Step(self.name, lambda log: run_go(words, self.sources, log, self._home))
        run_steps([] if self.target.exists() else [step], self._home.logs / "schedulers", Console())

    def find_module(self) -> Path:
        """Return where Go keeps the sources of the module, once the program is built."""
        words = [self._home.envs / "go" / "bin" / "go", "list", "-m", "-f", "{{.Dir}}", self.module]
        found = subprocess.run(words, cwd=self.sources, capture_output=True, text=True, check=True)
        return Path(found.stdout.strip())

    @property
    def _home(self) -> Home:
        return Home(default_home())


KUEUE = Program("kueue", "sigs.k8s.io/kueue", "sigs.k8s.io/kueue/cmd/kueue")
COSCHEDULING = Program("coscheduling", "sigs.k8s.io/scheduler-plugins", ".")
