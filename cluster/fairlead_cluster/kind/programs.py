"""Programs that are built from Go modules: kind, what a node runs, the object store, and Helm for tests."""

from pathlib import Path

from fairlead_cluster.base.home import CHECKOUT, Home
from fairlead_cluster.base.steps import Step, StepLog
from fairlead_cluster.base.toolchain import QUICK, build_kubernetes, build_program, required_version, run_go
from fairlead_cluster.kind.docker import content_key

KIND = "sigs.k8s.io/kind@v0.33.0"
MINIO = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"
_HELM = "helm.sh/helm/v3/cmd/helm"
_SOURCES = CHECKOUT / "cluster" / "kube"
_MODULES = (_SOURCES / "go.mod", _SOURCES / "go.sum")
_COREDNS = CHECKOUT / "cluster" / "kind" / "coredns"
_PAUSE = CHECKOUT / "cluster" / "kind" / "node" / "pause"


def module_path(home: Home, module: str) -> Path:
    """Return the path of a module's program, built or not."""
    name, _, version = module.rpartition("/")[2].partition("@")
    return home.root / "kind" / "programs" / f"{name}-{version}" / name


def plan_module(home: Home, module: str, step: str) -> list[Step]:
    """Return the step that builds a module's program, or none; Go verifies its sources by the checksum database."""
    target = module_path(home, module)

    def work(log: StepLog) -> None:
        run_go(["install", *QUICK, module], home.root, log, home, programs=target.parent)

    return [] if target.exists() else [Step(step, work)]


def kubernetes_key() -> str:
    """Hash the sources of the nodes' Kubernetes binary."""
    sources = sorted(path for path in _SOURCES.iterdir() if path.suffix in (".go", ".mod", ".sum"))
    return content_key(*sources)


def kubernetes_path(home: Home) -> Path:
    """Return the path of the nodes' Kubernetes binary, built or not."""
    return home.root / "kind" / "programs" / f"kube-{kubernetes_key()}" / "kube"


def plan_kubernetes(home: Home, step: str) -> list[Step]:
    """Return the step that builds the nodes' Kubernetes binary, or none."""
    target = kubernetes_path(home)
    if target.exists():
        return []
    return [Step(step, lambda log: build_kubernetes(target, log, home, tags="node"))]


def coredns_key() -> str:
    """Hash the sources of the nodes' CoreDNS."""
    return content_key(_COREDNS)


def coredns_version() -> str:
    """Return the version of CoreDNS that cluster/kind/coredns/go.mod names."""
    return required_version(_COREDNS / "go.mod", "github.com/coredns/coredns")


def coredns_path(home: Home) -> Path:
    """Return the path of the nodes' CoreDNS, built or not."""
    return home.root / "kind" / "programs" / f"coredns-{coredns_key()}" / "coredns"


def plan_coredns(home: Home, step: str) -> list[Step]:
    """Return the step that builds the nodes' CoreDNS, or none."""
    target = coredns_path(home)
    return [] if target.exists() else [Step(step, lambda log: _build(_COREDNS, target, log, home))]


def helm_path(home: Home) -> Path:
    """Return the path of Helm, built or not; cluster/kube/go.mod names its version."""
    return home.root / "kind" / "programs" / f"helm-{content_key(*_MODULES)}" / "helm"


def plan_helm(home: Home, step: str) -> list[Step]:
    """Return the step that builds Helm, or none."""
    target = helm_path(home)
    return [] if target.exists() else [Step(step, lambda log: build_program(_HELM, target, log, home))]


def build_pause(target: Path, log: StepLog, home: Home) -> None:
    """Build the program of the container that holds a pod's namespaces."""
    _build(_PAUSE, target, log, home)


def _build(sources: Path, target: Path, log: StepLog, home: Home) -> None:
    run_go(["build", *QUICK, "-o", target, "main.go"], sources, log, home)
