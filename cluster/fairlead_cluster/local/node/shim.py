"""Keeps one container's process: started by the node as `python -I -S shim.py RUN_FOLDER`, and outlives it.

Reads {"argv", "env", "cwd", "log"} from standard input, so that no secret is on a command line or on disk. Answers
with one line, `started` or `failed`, and leaves `run.json` and, in the end, `exit.json` in its folder. SIGTERM is
passed on to the process; SIGUSR1 kills it. When it has ended, so does all that it started, as in a container.
Standard library only: it is started once per container and should cost little.
"""

import contextlib
import ctypes
import datetime
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LIBC = ctypes.CDLL(None)
_SIGNALS = {signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD, signal.SIGINT, signal.SIGHUP}


def main() -> None:
    """Start the process, wait for its end and record the result."""
    folder = Path(sys.argv[1])
    order = json.load(sys.stdin)
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    started = _now()
    try:
        child = _start(order)
    except (OSError, ValueError) as error:
        _write(folder / "exit.json", {"startError": _explain(order, error), "finishedAt": started})
        os.write(1, b"failed\n")
        return
    _write(folder / "run.json", {"pid": os.getpid(), "started": _start_time(), "startedAt": started})
    os.write(1, b"started\n")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    status = _wait(child)
    _end_children(child)
    code = os.waitstatus_to_exitcode(status)
    exit_record = {"exitCode": 128 - code if code < 0 else code, "signal": -code if code < 0 else None}
    _write(folder / "exit.json", exit_record | {"startedAt": started, "finishedAt": _now()})


def _start(order: dict[str, Any]) -> int:
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    child = subprocess.Popen(
        order["argv"],
        env=order["env"],
        cwd=order["cwd"],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        preexec_fn=_prepare,
    )
    os.close(log)
    child.returncode = 0  # waited for below, by pid
    return child.pid


def _prepare() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # if this shim is killed, so is its process


def _wait(child: int) -> int:
    """Reap every child until the main one has ended; return its wait status."""
    while True:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return 0
            if pid == child:
                return status
            if pid == 0:
                break
        number = signal.sigwait(_SIGNALS)
        if number == signal.SIGUSR1:
            os.kill(child, signal.SIGKILL)
        elif number == signal.SIGTERM:
            os.kill(child, signal.SIGTERM)


def _end_children(child: int) -> None:
    """Kill the remaining processes: its session, and orphans that were reparented to this process."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    while children := _children():
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _children() -> list[int]:
    me = os.getpid()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(stat[1]) == me:
                    found.append(int(entry.name))
    return found


def _explain(order: dict[str, Any], error: Exception) -> str:
    command = order["argv"][0]
    if isinstance(error, FileNotFoundError) and error.filename == order["cwd"]:
        return f"workingDir {order['cwd']!r}: no such directory"
    if isinstance(error, FileNotFoundError):
        return f"exec: {command!r}: executable file not found in $PATH"
    return f"exec: {command!r}: {error}"


def _start_time() -> int:
    return int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _write(path: Path, content: dict[str, Any]) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(content))
    fresh.replace(path)


if __name__ == "__main__":
    main()
