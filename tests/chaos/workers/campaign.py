"""The job of the campaign from its creation to its end, while its workers are lost."""

import argparse
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlead.core import names

from tests.chaos.workers.job import LEAST, NAME, WORKERS, build_job, count_steps
from tests.chaos.workers.kills import WAYS, list_pod_processes
from tests.chaos.workers.ledger import Account, audit
from tests.local.support import LocalCluster, ready
from tests.support.trainings.steps import Entry, read_entries

Object = dict[str, Any]
_START_SECONDS, _FINISH_SECONDS, _REPORT_SECONDS, _POLL_SECONDS = 300.0, 900.0, 15.0, 1.0


@dataclass(frozen=True)
class Loss:
    """One worker that was lost."""

    time: float
    pod: str
    way: str


@dataclass
class Campaign:
    """One run of the job."""

    cluster: LocalCluster
    folder: Path
    options: argparse.Namespace
    losses: list[Loss] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    status: Object = field(default_factory=dict)
    """The job's status when it was last read."""
    _reported: float = 0.0

    def run(self) -> None:
        """Run the job to its end; `problems` has what is wrong."""
        rng = random.Random(self.options.seed)
        self.cluster.apply(build_job(self.options, self.folder))
        self._wait("train", lambda: self._account().steps > 0, _START_SECONDS)
        began = time.monotonic()
        for number in range(1, int(self.options.minutes * 60 / self.options.period) + 1):
            due = began + number * self.options.period
            self._wait("be hit", lambda due=due: time.monotonic() >= due or self._ended(), self.options.period + 60)  # type: ignore[misc]
            if self._ended():
                self.problems.append("the job ended while workers were killed")
                return
            self._lose_one(rng)
        self._wait("end", self._ended, _FINISH_SECONDS)

    def check(self) -> Account:
        """Compare the job's end with the logs of its trainings; return the account of the whole training."""
        account = audit(self.entries(), LEAST, WORKERS, count_steps(self.options))
        self.problems += account.problems
        if (phase := self.status.get("phase")) != "Succeeded":
            self.problems.append(f"status.phase: got {phase}, expected Succeeded")
        # Horovod's processes live on and count themselves; torchrun's are new, and know what the heartbeats said.
        least = account.repeated - (account.unheard if self.options.launcher == "Torchrun" else 0)
        if not least <= (lost := self._elastic("lostSteps")) <= account.repeated:
            steps = f"{account.repeated} steps were repeated, of which heartbeats had to say {least}"
            self.problems.append(f"status.elastic.lostSteps: got {lost}, though {steps}")
        if not self.losses:
            self.problems.append("no worker was lost")
        self.cluster.kubectl("delete", "trainingjob", NAME)
        deadline = time.monotonic() + 60
        while (left := list_pod_processes(self.cluster)) and time.monotonic() < deadline:
            time.sleep(0.2)
        if left:
            self.problems.append(f"processes {[process.pid for process in left]} run though the job was deleted")
        return account

    def entries(self) -> list[Entry]:
        """Return what the trainings have logged."""
        return read_entries(self.folder / "steps")

    def _lose_one(self, rng: random.Random) -> None:
        pods = self.cluster.list("pods", f"{names.JOB}={NAME},{names.ROLE}={names.WORKER}")
        running = [pod for pod in pods if ready(pod) and "deletionTimestamp" not in pod["metadata"]]
        way = rng.choice(sorted(WAYS))
        if running:
            pod = rng.choice(sorted(pod["metadata"]["name"] for pod in running))
            self.losses.append(Loss(time.time(), pod, way))
            WAYS[way](self.cluster, pod)
            sys.stderr.write(f"{pod}: {way}\n")

    def _wait(self, what: str, holds: Callable[[], bool], seconds: float) -> None:
        """Look at the job until a condition holds; raise AssertionError if it does not in time."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"the job does not {what} within {seconds:g} s: {self.status}")
            time.sleep(_POLL_SECONDS)
            self.status = self.cluster.get("trainingjob", NAME).get("status", {})
            if restarts := self.status.get("workers", {}).get("restarts", 0):
                raise AssertionError(f"status.workers.restarts: got {restarts}, expected 0: {self.status}")
            self._report()

    def _report(self) -> None:
        if time.monotonic() - self._reported < _REPORT_SECONDS:
            return
        self._reported, account = time.monotonic(), self._account()
        sys.stderr.write(
            f"step {account.steps} of {count_steps(self.options)}, {self._elastic('workers')} workers train, "
            f"{len(self.losses)} were killed, {account.repeated} steps repeated\n"
        )

    def _account(self) -> Account:
        return audit(self.entries(), LEAST, WORKERS)

    def _elastic(self, key: str) -> int:
        return int((self.status.get("elastic") or {}).get(key, 0))

    def _ended(self) -> bool:
        return "completionTime" in self.status
