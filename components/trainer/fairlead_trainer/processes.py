"""The user's processes on one worker: start them, copy their output to the log, and stop their process groups."""

import contextlib
import ctypes
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

_LINE_LIMIT = 8192
_TAIL_LINES = 40
_TAIL_CHARACTERS = 4096
_KILLED_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


@dataclass(frozen=True)
class Exit:
    """The exit of one process."""

    rank: int
    code: int
    """The exit code as in subprocess: negative for a signal."""
    epoch: int = 0
    """The epoch for which it was started."""


@dataclass(frozen=True)
class StopOrder:
    """Another worker failed, or the launcher is unreachable."""

    reason: str


@dataclass(frozen=True)
class Standing:
    """What the launcher says to a worker whose processes have ended."""

    first: bool
    """Whether it holds rank 0."""
    others_finished: bool
    """Whether all other workers have succeeded."""
    all_ended: bool
    """Whether the processes of all workers have exited with 0."""
    epoch: int | None = None
    """The epoch of the processes that have ended, if they are started anew for each."""


@dataclass(frozen=True)
class Recall:
    """The processes of an epoch must be stopped: other ones are started for the next one."""

    epoch: int


Event = Exit | StopOrder | Standing | Recall
"""The events that the agent's main thread waits for."""


class Process:
    """One rank's process, the leader of its own process group."""

    def __init__(
        self,
        rank: int,
        command: Sequence[str],
        environment: Mapping[str, str],
        events: "queue.SimpleQueue[Event]",
        output_lock: threading.Lock,
        epoch: int,
    ) -> None:
        """Start the process; raise OSError if the command cannot be started."""
        self.rank, self._epoch = rank, epoch
        self._events = events
        self._output_lock = output_lock
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._popen = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        self._pump = threading.Thread(target=self._tee, name=f"output-{rank}", daemon=True)
        self._pump.start()
        threading.Thread(target=self._watch, name=f"exit-{rank}", daemon=True).start()

    @property
    def running(self) -> bool:
        """Return True until the process has exited."""
        return self.code is None

    @property
    def code(self) -> int | None:
        """Return the exit code; None until the process has exited."""
        return self._popen.poll()

    def log_tail(self) -> str:
        """Return the last lines of output that fit a report; wait briefly for those still in the pipe."""
        self._pump.join(timeout=2)
        return "\n".join(self._tail)[-_TAIL_CHARACTERS:]

    def signal_group(self, number: int) -> None:
        """Send a signal to the process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)

    def await_exit(self) -> None:
        """Wait until a killed process has exited, for as long as the kernel may take."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(_KILLED_SECONDS)

    def _watch(self) -> None:
        code = self._popen.wait()
        # Remaining children would keep the pipe open, and outlive the pod on a process node.
        self.signal_group(signal.SIGKILL)
        self._events.put(Exit(self.rank, code, self._epoch))

    def _tee(self) -> None:
        prefix = f"[{self.rank}] ".encode()
        output = self._popen.stdout
        if output is None:
            raise AssertionError("the process was started without a pipe")
        while line := output.readline(_LINE_LIMIT):
            line = line.rstrip(b"\n")
            self._tail.append(line.decode("utf-8", "replace"))
            with self._output_lock:
                sys.stdout.buffer.write(prefix + line + b"\n")
                sys.stdout.buffer.flush()


class ProcessSet:
    """All ranks of one worker, in one epoch if they are started anew for each."""

    def __init__(self, events: "queue.SimpleQueue[Event]", stop_grace: float, epoch: int = 0) -> None:
        self._events, self._epoch = events, epoch
        self._stop_grace = stop_grace
        self._output_lock = threading.Lock()
        self._processes: dict[int, Process] = {}

    def start(self, rank: int, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start one rank; raise OSError if the command cannot be started."""
        self._processes[rank] = Process(rank, command, environment, self._events, self._output_lock, self._epoch)

    def log_tail(self, rank: int) -> str:
        """Return the last lines of a rank's output."""
        return self._processes[rank].log_tail()

    def running(self) -> bool:
        """Return whether a process is running."""
        return any(process.running for process in self._processes.values())

    def succeeded(self, ranks: Collection[int]) -> bool:
        """Return whether the processes of all these ranks were started, and have exited with 0."""
        return all(rank in self._processes and self._processes[rank].code == 0 for rank in ranks)

    def terminate(self) -> list[Process]:
        """Send SIGTERM to all running processes; return them."""
        running = [process for process in self._processes.values() if process.running]
        for process in running:
            process.signal_group(signal.SIGTERM)
        return running

    def stop(self) -> None:
        """Stop all processes: send SIGTERM, and SIGKILL after the grace period."""
        terminated = self.terminate()
        end = time.monotonic() + self._stop_grace
        while any(process.running for process in terminated) and time.monotonic() < end:
            time.sleep(0.02)
        for process in terminated:
            process.signal_group(signal.SIGKILL)
            process.await_exit()


def _die_with_parent() -> None:
    """Make the kernel kill the process when the agent dies for any reason."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
