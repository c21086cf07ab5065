"""Training jobs as pods run them: a launcher and its agents, each on its own loopback address."""

import contextlib
import itertools
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_artifacts import Manifest, publish

ROOT = Path(__file__).parents[3]
_NETWORKS = itertools.count(1)
_BIN = Path(sys.executable).parent


@dataclass
class Job:
    """One attempt of a job."""

    folder: Path
    workers: int = 2
    slots: int = 1
    environment: dict[str, str] = field(default_factory=dict)
    agents: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    launcher: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.name = f"job-{secrets.token_hex(6)}"
        self.network = f"127.{os.getpid() % 200 + 20}.{next(_NETWORKS)}"
        (self.folder / "key").write_text(secrets.token_hex(32))

    def start(self, *command: str) -> "Job":
        """Start the launcher and all agents."""
        self.start_launcher()
        for worker in range(self.workers):
            self.start_agent(worker, *command)
        return self

    def start_launcher(self, **variables: str) -> None:
        """Start the launcher."""
        address = f"{self.network}.1"
        variables = {"POD_IP": address, "FAIRLEAD_BIND_ADDRESS": address} | variables
        self.launcher = self._spawn("launcher", [str(_BIN / "fairlead-launcher")], variables)

    def start_agent(self, worker: int, *command: str, **variables: str) -> None:
        """Start one worker's agent."""
        own = {
            "POD_IP": f"{self.network}.{10 + worker}",
            "FAIRLEAD_LAUNCHER": f"{self.network}.1:7070",
            "FAIRLEAD_WORKER_INDEX": str(worker),
        }
        argv = [str(_BIN / "fairlead-agent"), "--", *command]
        self.agents[worker] = self._spawn(f"worker-{worker}", argv, own | variables)

    def wait(self, seconds: float = 60) -> list[int]:
        """Wait for all processes; return the exit codes of the launcher and of each agent."""
        end = time.monotonic() + seconds
        processes = [self.launcher, *(self.agents[worker] for worker in sorted(self.agents))]
        return [process.wait(max(0.1, end - time.monotonic())) for process in processes if process]

    def message(self, who: str) -> dict[str, Any]:
        """Return a termination message."""
        content = (self.folder / f"{who}.termination").read_bytes()
        assert len(content) <= 4096
        message: dict[str, Any] = json.loads(content)
        return message

    def log(self, who: str) -> str:
        """Return a container's log."""
        return (self.folder / f"{who}.log").read_text()

    def status(self) -> dict[str, Any]:
        """Read the launcher's status as the operator does; the phase is None until the launcher answers."""
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://{self.network}.1:7070/status", timeout=5) as answer,
        ):
            status: dict[str, Any] = json.load(answer)
            return status
        return {"phase": None}

    def until(self, holds: Callable[[], bool], seconds: float = 30) -> None:
        """Wait until a condition holds."""
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"not within {seconds} s; logs: {self.logs()}"
            time.sleep(0.05)

    def logs(self) -> str:
        """Return all logs, for a failed assertion."""
        return "\n".join(f"== {file.name}\n{file.read_text()}" for file in sorted(self.folder.glob("*.log")))

    def processes(self) -> list[int]:
        """Return the ID of every process that has this job's name in its environment."""
        marker = f"FAIRLEAD_JOB={self.name}".encode()
        found = []
        for file in Path("/proc").glob("[0-9]*/environ"):
            try:
                if marker in file.read_bytes().split(b"\0"):
                    found.append(int(file.parent.name))
            except OSError:
                continue
        return found

    def _spawn(self, who: str, command: list[str], variables: dict[str, str]) -> subprocess.Popen[bytes]:
        common = {
            "FAIRLEAD_JOB": self.name,
            "FAIRLEAD_ATTEMPT": "0",
            "FAIRLEAD_KEY_FILE": str(self.folder / "key"),
            "FAIRLEAD_TERMINATION_LOG": str(self.folder / f"{who}.termination"),
            "FAIRLEAD_WORKERS": str(self.workers),
            "FAIRLEAD_SLOTS": str(self.slots),
            "FAIRLEAD_BACKEND": "horovod",
            "FAIRLEAD_HEARTBEAT_SECONDS": "0.2",
            "FAIRLEAD_SILENCE_SECONDS": "4",
            "FAIRLEAD_STOP_GRACE_SECONDS": "2",
            # Horovod's default, 1 ms, takes a quarter of a core for each process, whatever it trains
            "HOROVOD_CYCLE_TIME": "5",
            "OMP_NUM_THREADS": "1",
            "TMPDIR": str(self.folder),
        }
        with (self.folder / f"{who}.log").open("wb") as log:
            environment = os.environ | common | self.environment | variables
            return subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)


@pytest.fixture
def new_job(tmp_path: Path) -> Iterator[Callable[..., Job]]:
    """Return a function that creates jobs; check afterwards that none of their processes is running."""
    jobs: list[Job] = []

    def make(**options: Any) -> Job:
        folder = tmp_path / f"job-{len(jobs)}"
        folder.mkdir()
        jobs.append(Job(folder, **options))
        return jobs[-1]

    yield make
    left = {job.name: _await_end(job) for job in jobs}
    for pids in left.values():
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    for job in jobs:
        for process in [job.launcher, *job.agents.values()]:
            if process:
                process.wait()
    assert not any(left.values()), f"processes are still running: {left}"


@pytest.fixture
def dataset(tmp_path: Path) -> tuple[str, Manifest]:
    """Publish 64 random images as a dataset; return its URI and manifest."""
    folder = tmp_path / "dataset-source"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name in ("train", "eval"):
        images = random.integers(0, 17, (64, 1, 8, 8)).astype(np.float32)
        np.savez(folder / f"{name}.npz", x=images, y=random.integers(0, 10, 64))
    uri = (tmp_path / "datasets" / "v1").as_uri()
    return uri, publish(folder, uri, kind="dataset", producer="tests/1")


def _await_end(job: Job, seconds: float = 10.0) -> list[int]:
    """Return the processes that are left of a job; on a busy machine, a killed process takes a moment to end."""
    deadline = time.monotonic() + seconds
    while (pids := job.processes()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return pids
