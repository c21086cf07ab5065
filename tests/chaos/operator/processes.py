"""The operator as a process that can be killed and started again with the same identity."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.chaos.operator.stage import Unfinished
from tests.support.api_server import OPERATOR_NAMESPACE

_AUDIT_SECONDS = "4"
_KILLED_SECONDS = 10.0
_CHECK_SECONDS = 0.5


class Forks:
    """Forks operators from one process that has imported them. Use as a context manager."""

    def __enter__(self) -> "Forks":
        command = [sys.executable, "-m", "tests.chaos.operator.forks"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def start(self, environment: dict[str, str], log: Path) -> int:
        """Start an operator and return its pid."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"environment": environment, "log": str(log)}) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


class OperatorProcess:
    """An operator with an identity of its own."""

    def __init__(self, forks: Forks, kubeconfig: Path, log: Path, identity: str) -> None:
        self._environment = os.environ | {
            "KUBECONFIG": str(kubeconfig),
            "FAIRLEAD_PORT": "0",
            "FAIRLEAD_BIND_ADDRESS": "127.0.0.1",
            "FAIRLEAD_LEASE_NAMESPACE": OPERATOR_NAMESPACE,
            "FAIRLEAD_AUDIT_SECONDS": _AUDIT_SECONDS,
            "FAIRLEAD_LOG_FORMAT": "text",
            "FAIRLEAD_RESTART_SECONDS": "0.3",
            "POD_NAME": identity,
        }
        self._forks, self._log, self.identity = forks, log, identity
        self._pid: int | None = None
        self.supervised = False
        """Whether it is started again when it exits by itself, as a kubelet does."""

    @property
    def running(self) -> bool:
        """Return whether it has been started and has not ended."""
        return self.send(0)

    def start(self) -> None:
        """Start it."""
        self._pid = self._forks.start(dict(self._environment), self._log)

    def kill(self) -> None:
        """Kill it as a lost node would."""
        self.send(signal.SIGKILL)
        end = time.monotonic() + _KILLED_SECONDS
        while self.running and time.monotonic() < end:
            time.sleep(0.005)

    def restart(self) -> None:
        """Kill it and start another."""
        self.kill()
        self.start()

    async def supervise(self) -> None:
        """Start it again whenever it has exited: a machine that is too slow for its lease makes it do so."""
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            if self.supervised and not self.running:
                self.start()

    async def wait_for_exit(self, seconds: float) -> None:
        """Wait until it has exited by itself; raises Unfinished."""
        end = time.monotonic() + seconds
        while self.running:
            if time.monotonic() > end:
                raise Unfinished(f"{self.identity} still runs after {seconds:.0f} s without its lease")
            await asyncio.sleep(0.1)

    def send(self, number: int) -> bool:
        """Send it a signal, such as SIGSTOP; return False if it has ended."""
        with suppress(ProcessLookupError):
            if self._pid:
                os.kill(self._pid, number)
                return True
        return False
