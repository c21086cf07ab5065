"""Background processes of the local cluster: started, found again by another process, and stopped."""

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class ProcessId:
    """A process, distinguished from later ones with the same number."""

    pid: int
    started: int
    """Clock ticks since boot, from /proc."""

    @classmethod
    def of(cls, pid: int) -> "ProcessId":
        """Identify a process that runs now."""
        return cls(pid, _start_time(pid) or 0)

    @property
    def alive(self) -> bool:
        """Return True if it is still running; a zombie is not."""
        return _start_time(self.pid) == self.started

    def signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended; return False on a timeout."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            select.select([descriptor], [], [], max(0.0, seconds)) if self.alive else None
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)
            return not self.alive
        finally:
            os.close(descriptor)


class Daemons:
    """The background processes of one folder: `<name>.json` holds each one's identity, `<name>.log` its output."""

    def __init__(self, folder: Path, *, detached: bool) -> None:
        """Let processes outlive this one (`detached`), or end with it, even when it is killed."""
        self._folder = folder
        self._detached = detached

    def log(self, name: str) -> Path:
        """Return the file that a process's output is written to."""
        return self._folder / f"{name}.log"

    def find(self, name: str) -> ProcessId | None:
        """Return the running process of a name."""
        try:
            process = ProcessId(**json.loads(self._record(name).read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return process if process.alive else None

    def start(self, name: str, argv: Sequence[str | Path], env: Mapping[str, str] | None = None) -> ProcessId:
        """Start a process in a session of its own, its output appended to its log."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self.log(name).open("ab") as log:
            child = subprocess.Popen(  # not waited for here: `wait` reaps it, or init does
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(env) if env is not None else None,
                start_new_session=True,
                preexec_fn=None if self._detached else _end_with_parent,
            )
        child.returncode = 0  # it is ours to reap, by pid; keeps Popen from warning about a running child
        process = ProcessId.of(child.pid)
        self._record(name).write_text(json.dumps(asdict(process)))
        return process

    def stop(self, names: Sequence[str], grace_seconds: float) -> None:
        """Terminate processes, wait, then kill those that are still running."""
        processes = [process for name in names if (process := self.find(name))]
        for number, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 5.0)):
            deadline = time.monotonic() + seconds
            for process in processes:
                process.signal(number)
            processes = [process for process in processes if not process.wait(deadline - time.monotonic())]
        if processes:
            raise RuntimeError(f"processes {[process.pid for process in processes]} are still running after SIGKILL")
        for name in names:
            self._record(name).unlink(missing_ok=True)

    def _record(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def tail(path: Path, lines: int = 15) -> str:
    """Return the last lines of a log file."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 64_000))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    return ""


def _start_time(pid: int) -> int | None:
    """Return a process's start time, None when it does not run (any more)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # the name in parentheses may hold spaces and parentheses itself
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])


def _end_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
