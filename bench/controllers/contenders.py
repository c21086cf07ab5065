"""The contenders and how they are started."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fairlead_cluster.base.home import CHECKOUT, Home, default_home
from fairlead_cluster.base.steps import Step, StepLog, run_steps
from fairlead_cluster.base.toolchain import run_go
from rich.console import Console

from bench.controllers.jobs import Object, build_mpi_job, build_naive_job, build_training_job
from bench.controllers.plane import Plane

MPI_OPERATOR, MPI_VERSION = "github.com/kubeflow/mpi-operator", "v0.6.0"
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Contender:
    """A controller: its resource, its process, its CRDs."""

    name: str
    build: Callable[[str], Object]
    command: Callable[[Plane], list[str]]
    crds: Callable[[], list[Path]] = list


def fairlead() -> Contender:
    """Return Fairlead's operator as one process with default settings."""
    return Contender("fairlead", build_training_job, lambda _: [sys.executable, "-m", "fairlead.handlers.main"])


def naive() -> Contender:
    """Return the naive kopf operator."""

    def command(plane: Plane) -> list[str]:
        return [sys.executable, "-m", "bench.controllers.naive_operator", str(plane.controller_kubeconfig)]

    return Contender("naive kopf operator", build_naive_job, command, lambda: [_HERE / "naive_crd.yaml"])


def mpi_operator(name: str, *flags: str) -> Contender:
    """Return the MPI Operator with the given flags."""
    home = Home(default_home())

    def command(plane: Plane) -> list[str]:
        kubeconfig = f"--kubeConfig={plane.controller_kubeconfig}"
        return [str(_mpi_program(home)), kubeconfig, "--lock-namespace=default", *flags]

    return Contender(name, build_mpi_job, command, lambda: [_mpi_crd()])


THROTTLED = "MPI Operator v0.6.0"
ALL = (
    fairlead(),
    naive(),
    mpi_operator(THROTTLED),
    mpi_operator("MPI Operator v0.6.0, unthrottled", "--kube-api-qps=500", "--kube-api-burst=500", "--threadiness=10"),
)


def prepare(console: Console) -> None:
    """Build the MPI Operator from its Go module, once."""
    home = Home(default_home())
    target = _mpi_program(home)

    def work(log: StepLog) -> None:
        # built in a copy of the module, whose go.mod replaces modules: `go install …@version` rejects that
        folder = target.parent
        folder.mkdir(parents=True, exist_ok=True)
        run_go(["mod", "download", f"{MPI_OPERATOR}@{MPI_VERSION}"], folder, log, home)
        shutil.copytree(_mpi_module(), folder / "source", copy_function=shutil.copyfile, dirs_exist_ok=True)
        run_go(["build", "-trimpath", "-o", target, "./cmd/mpi-operator"], folder / "source", log, home)

    if not target.exists():
        run_steps([Step("mpi-operator", work)], home.logs, console)


def start(contender: Contender, plane: Plane) -> "subprocess.Popen[bytes]":
    """Start a contender; the caller kills it."""
    environment = os.environ | {
        "KUBECONFIG": str(plane.controller_kubeconfig),
        "FAIRLEAD_BIND_ADDRESS": "127.0.0.1",
        "FAIRLEAD_PORT": "0",
    }
    with (plane.folder / "controller.log").open("ab") as log:
        return subprocess.Popen(contender.command(plane), cwd=CHECKOUT, env=environment, stdout=log, stderr=log)


def _mpi_program(home: Home) -> Path:
    return home.root / "bench" / f"mpi-operator-{MPI_VERSION}" / "mpi-operator"


def _mpi_crd() -> Path:
    """Return the CRD that the MPI Operator's module brings."""
    return _mpi_module() / "manifests" / "base" / "kubeflow.org_mpijobs.yaml"


def _mpi_module() -> Path:
    """Return where Go keeps the module, once downloaded."""
    go = subprocess.run(["go", "env", "GOMODCACHE"], capture_output=True, text=True, check=False)
    cache = Path(go.stdout.strip() or Path.home() / "go" / "pkg" / "mod")
    return cache / f"{MPI_OPERATOR}@{MPI_VERSION}"
