"""One run of a container's process as the node sees it: started through a shim, found again after a restart."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from fairlead_artifacts import open_regular

from fairlead_cluster.base.daemons import ProcessId, tail
from fairlead_cluster.local.node.objects import Object, timestamp

_SHIM = Path(__file__).with_name("shim.py")
_MESSAGE_BYTES, _LOG_MESSAGE_BYTES, _LOG_MESSAGE_LINES = 4096, 2048, 80


@dataclass(frozen=True)
class Launch:
    """What to start."""

    argv: list[str]
    env: dict[str, str]
    cwd: Path


class Run:
    """The n-th run of a container. Its folder records everything about it, so nothing is lost with the node agent."""

    def __init__(self, container_folder: Path, number: int) -> None:
        """Describe a run, started or not."""
        self.number = number
        self._folder = container_folder / "runs" / str(number)

    @classmethod
    def latest(cls, container_folder: Path) -> "Run":
        """Return the last run that was begun, or the first one."""
        runs = [int(path.name) for path in (container_folder / "runs").glob("*")]
        return cls(container_folder, max(runs, default=0))

    @property
    def log(self) -> Path:
        """Standard output and error."""
        return self._folder / "log"

    @property
    def begun(self) -> bool:
        """Return True if a shim has started."""
        return (self._folder / "run.json").exists() or self.ended

    @property
    def ended(self) -> bool:
        """Return True if the end of the process was recorded."""
        return (self._folder / "exit.json").exists()

    @property
    def running(self) -> bool:
        """Return True if the process is running."""
        shim = self._shim()
        return shim is not None and shim.alive and not self.ended

    @property
    def started_at(self) -> str:
        """Return when the process was started."""
        return str(self._read("run.json").get("startedAt") or timestamp())

    async def start(self, launch: Launch, pod_folder: Path) -> None:
        """Start the process; for a command that cannot be started, an exit record has the reason."""
        self._folder.mkdir(parents=True, exist_ok=True)
        order = {"argv": launch.argv, "env": launch.env, "cwd": str(launch.cwd), "log": str(self.log)}
        await asyncio.to_thread(self._start, json.dumps(order).encode(), pod_folder)

    async def wait(self) -> None:
        """Wait for the end of the process."""
        shim = self._shim()
        if shim is None:
            return
        try:
            descriptor = os.pidfd_open(shim.pid)
        except ProcessLookupError:
            return
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        try:
            if shim.alive:
                loop.add_reader(descriptor, ended.set)
                await ended.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(shim.pid, os.WNOHANG)  # noqa: ASYNC222 - it has ended, this only reaps it

    def signal(self, *, kill: bool) -> None:
        """Terminate or kill the process."""
        if shim := self._shim():
            shim.signal(signal.SIGUSR1 if kill else signal.SIGTERM)

    def terminated(self, message_file: Path, policy: str) -> Object:
        """Return the container state `terminated` of a run that has ended."""
        record = self._read("exit.json")
        if error := record.get("startError"):
            # the same wording as containerd
            return {
                "exitCode": 128,
                "reason": "StartError",
                "message": f"failed to start the container's process: {error}",
                "startedAt": record["finishedAt"],
                "finishedAt": record["finishedAt"],
            }
        if not record:
            return {
                "exitCode": 137,
                "reason": "ContainerStatusUnknown",
                "message": "The process ended while it was not being watched; its exit code is lost.",
                "startedAt": self.started_at,
                "finishedAt": timestamp(),
            }
        code = int(record["exitCode"])
        state = {"exitCode": code, "reason": "Completed" if code == 0 else "Error"}
        state |= {key: record[key] for key in ("startedAt", "finishedAt")}
        if record.get("signal"):
            state["signal"] = record["signal"]
        fallback = self.log if policy == "FallbackToLogsOnError" and code else None
        if message := _termination_message(message_file, fallback):
            state["message"] = message
        return state

    def _shim(self) -> ProcessId | None:
        record = self._read("run.json")
        return ProcessId(record["pid"], record["started"]) if record else None

    def _read(self, name: str) -> Object:
        try:
            return dict(json.loads((self._folder / name).read_text()))
        except FileNotFoundError:
            return {}

    def _start(self, order: bytes, pod_folder: Path) -> None:
        shim = subprocess.Popen(  # reaped by `wait`
            [sys.executable, "-I", "-S", _SHIM, self._folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"FAIRLEAD_NODE_POD": str(pod_folder), "PATH": os.environ.get("PATH", "")},
            start_new_session=True,
        )
        if shim.stdin is None or shim.stdout is None:
            raise RuntimeError("the process was started without pipes")
        with shim.stdin, shim.stdout:
            shim.stdin.write(order)
            shim.stdin.close()
            answer = shim.stdout.readline()
        if answer == b"started\n":
            shim.returncode = 0  # from here on known by its pid only
        else:
            shim.wait()


def _termination_message(path: Path, log: Path | None) -> str:
    """Return the process's termination message, cut to the limit of Kubernetes."""
    message = b""
    with contextlib.suppress(OSError), open_regular(path) as file:
        message = file.read(_MESSAGE_BYTES)
    if not message and log:
        message = tail(log, _LOG_MESSAGE_LINES).encode()[-_LOG_MESSAGE_BYTES:]
    return message.decode(errors="replace")
