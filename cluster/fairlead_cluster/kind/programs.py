"""Programs that are built from Go modules: kind, what a node runs, and the object store."""

import re
from pathlib import Path

from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.home import CHECKOUT, Home
from fairlead_cluster.base.steps import Step, StepLog
from fairlead_cluster.base.toolchain import GO_ENVIRONMENT, NO_DWARF, build_kubernetes, find_go
from fairlead_cluster.kind.docker import content_key

KIND = "sigs.k8s.io/kind@v0.33.0"
COREDNS = "github.com/coredns/coredns@v1.12.1"
MINIO = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"
HELM = "helm.sh/helm/v3/cmd/helm@v3.21.4"
_SOURCES = CHECKOUT / "cluster" / "kube"
_PAUSE = CHECKOUT / "cluster" / "kind" / "node" / "pause"


def module_path(home: Home, module: str) -> Path:
    """Return the path of a module's program, built or not."""
    name, _, version = module.rpartition("/")[2].partition("@")
    return home.root / "kind" / "programs" / f"{name}-{version}" / name


def plan_module(home: Home, module: str, step: str) -> list[Step]:
    """Return the step that builds a module's program, or none; Go verifies its sources by the checksum database."""
    target = module_path(home, module)

    def work(log: StepLog) -> None:
        environment = {**GO_ENVIRONMENT, "GOBIN": str(target.parent)}
        go = find_go(home, log)
        log.run([go, "install", "-trimpath", "-ldflags=-s -w", NO_DWARF, module], cwd=home.root, env=environment)

    return [] if target.exists() else [Step(step, work)]


def kubernetes_key() -> str:
    """Hash the sources of the nodes' Kubernetes binary."""
    sources = sorted(path for path in _SOURCES.iterdir() if path.suffix in (".go", ".mod", ".sum"))
    return content_key(*sources)


def kubernetes_version() -> str:
    """Return the version of Kubernetes that cluster/kube/go.mod names."""
    path = _SOURCES / "go.mod"
    if not (found := re.search(r"^\s*k8s\.io/kubernetes (v\S+)$", path.read_text(), re.MULTILINE)):
        raise SetupError(f"{path}: names no version of k8s.io/kubernetes")
    return found[1]


def kubernetes_path(home: Home) -> Path:
    """Return the path of the nodes' Kubernetes binary, built or not."""
    return home.root / "kind" / "programs" / f"kube-{kubernetes_key()}" / "kube"


def plan_kubernetes(home: Home, step: str) -> list[Step]:
    """Return the step that builds the nodes' Kubernetes binary, or none."""
    target = kubernetes_path(home)
    if target.exists():
        return []
    return [Step(step, lambda log: build_kubernetes(target, log, home, tags="node"))]


def build_pause(target: Path, log: StepLog, home: Home) -> None:
    """Build the program of the container that holds a pod's namespaces."""
    log.run(
        [find_go(home, log), "build", "-trimpath", "-ldflags=-s -w", "-o", target, _PAUSE / "main.go"],
        cwd=_PAUSE,
        env=GO_ENVIRONMENT,
    )
