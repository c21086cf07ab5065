"""Every process of a pod, or of all pods: found by a variable that they inherit, so that none is missed."""

import contextlib
import os
import signal
import time
from pathlib import Path

from fairlead_cluster.base.daemons import ProcessId

_MARK = b"FAIRLEAD_NODE_POD="
_SETTLE_SECONDS = 5.0


def find_processes(folder: Path) -> list[ProcessId]:
    """Return the running processes, shims included, of the pods whose folder is `folder` or below it."""
    target = os.path.realpath(folder).encode()
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError):
                variables = (path / "environ").read_bytes().split(b"\0")
                pods = [os.path.realpath(item.removeprefix(_MARK)) for item in variables if item.startswith(_MARK)]
                if any(pod == target or pod.startswith(target + b"/") for pod in pods):
                    found.append(ProcessId.of(int(path.name)))
    return [process for process in found if process.alive]


def end_processes(folder: Path, grace_seconds: float) -> None:
    """Terminate the pods' processes, wait, and kill those still running; returns when none is left."""
    if grace_seconds > 0:
        _signal_and_wait(folder, signal.SIGTERM, grace_seconds)
    if not _signal_and_wait(folder, signal.SIGKILL, _SETTLE_SECONDS):
        left = [process.pid for process in find_processes(folder)]
        raise RuntimeError(f"processes {left} of {folder} are still running after SIGKILL")


def _signal_and_wait(folder: Path, number: int, seconds: float) -> bool:
    """Signal every process until none is left or the time is over: one may just have started another."""
    deadline = time.monotonic() + seconds
    signaled: set[ProcessId] = set()
    while processes := find_processes(folder):
        for process in processes:
            if process not in signaled:
                signaled.add(process)
                process.signal(number)
        if time.monotonic() > deadline:
            return False
        processes[0].wait(0.05)
    return True
