"""The container engine: a running one, or Debian's Docker, installed and started for as long as the cluster exists."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from fairlead_cluster.base.daemons import Daemons, tail
from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.home import CHECKOUT, Home
from fairlead_cluster.base.steps import StepLog
from fairlead_cluster.kind.machine import MachineState

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_SYS_RESOURCE = 24  # the capability's number, linux/capability.h
_RUN = Path("/run/fairlead-engine")
_RUNTIME = CHECKOUT / "cluster" / "kind" / "runc-without-resource"


class Engine:
    """Docker on this machine. `stop` ends only what `ensure` started, never an engine that was already running."""

    def __init__(self, home: Home) -> None:
        self.data = home.root / "engine" / "data"
        self._folder = home.root / "engine"
        self._record = self._folder / "machine.json"
        self._daemons = Daemons(self._folder, detached=True)

    @property
    def answers(self) -> bool:
        """Return True if an engine is running and accessible."""
        return bool(shutil.which("docker")) and _succeeds(["docker", "info"])

    @property
    def ours(self) -> bool:
        """Return True if the running engine was started by `ensure`."""
        return self._daemons.find("dockerd") is not None

    def ensure(self, log: StepLog) -> None:
        """Make sure that an engine is running; as root, install and start one if there is none."""
        if self.answers:
            return
        if os.environ.get("DOCKER_HOST"):
            raise SetupError(f"DOCKER_HOST is {os.environ['DOCKER_HOST']}, but no engine responds at that address")
        if os.geteuid() != 0:
            raise SetupError(
                "no container engine is running: start Docker, or run this command as root to install and start it"
            )
        if not shutil.which("dockerd"):
            install_packages(["docker.io", "iptables"], log)
            if self.answers:  # with systemd the package starts its own service
                return
        self._start()

    def stop(self) -> bool:
        """Stop an engine that `ensure` started and restore the machine's settings; return False if there is none."""
        if not self.ours and not self._record.exists():
            return False
        self._daemons.stop(["dockerd"], grace_seconds=_STOP_SECONDS)
        if self._record.exists():
            MachineState.load(self._record).restore()
            self._record.unlink()
        shutil.rmtree(_RUN, ignore_errors=True)
        return True

    def purge(self) -> None:
        """Delete the images and containers of an engine that `ensure` started."""
        if self.ours:
            raise SetupError("the engine is running; stop it before deleting its data")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self._record.exists():  # it exists after a crash: the first record is the machine's original state
            MachineState.record().save(self._record)
        words: list[str | Path] = [
            "dockerd",
            "--data-root",
            self.data,
            "--exec-root",
            _RUN,
            "--bridge=none",
            "--log-level=warn",
        ]
        if not has_capability(_SYS_RESOURCE):
            words += ["--add-runtime", f"reduced={_RUNTIME}", "--default-runtime", "reduced"]
        self._daemons.start("dockerd", words)
        deadline = time.monotonic() + _START_SECONDS
        while not self.answers:
            if not self.ours or time.monotonic() > deadline:
                raise SetupError(
                    f"dockerd does not respond; the last lines of {self._daemons.log('dockerd')}:\n"
                    f"{tail(self._daemons.log('dockerd'))}"
                )
            time.sleep(0.2)


def prefer_building_docker() -> None:
    """Put the first `docker` that can build with BuildKit at the front of PATH: others lack its plugin."""
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        docker = Path(folder) / "docker"
        if docker.exists() and _can_build(docker):
            os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
            os.environ["DOCKER_BUILDKIT"] = "1"
            return
    raise SetupError("no `docker` on PATH can build images: install its buildx plugin")


def _can_build(docker: Path) -> bool:
    version = subprocess.run([docker, "--version"], capture_output=True, text=True).stdout
    found = re.search(r"version (\d+)", version)
    # up to version 22 the client includes BuildKit; since 23 it is a plugin
    return bool(found and int(found[1]) < 23) or _succeeds([str(docker), "buildx", "version"])


def install_packages(packages: list[str], log: StepLog) -> None:
    """Install missing Debian packages."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SetupError(f"{' and '.join(packages)} are needed: install them, or run this as root on Debian")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    if not _succeeds(["apt-cache", "show", *packages]):
        log.run(["apt-get", "update"], env=quiet)
    log.run(["apt-get", "install", "-y", "--no-install-recommends", *packages], env=quiet)


def has_capability(number: int) -> bool:
    """Return True if this process has a kernel capability."""
    found = re.search(r"^CapEff:\s*(\w+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return bool(found and int(found[1], 16) >> number & 1)


def _succeeds(words: list[str]) -> bool:
    return subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
