"""Run a function in a forked process that is killed before its n-th change of files, to try each step of it.

Python's audit hooks report every file that is opened for writing, renamed, removed or created, whichever library does
it; what the kernel has done survives SIGKILL, as it survives a power cut if it was flushed.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable

_EVENTS = frozenset({"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate"})
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def run_killed(function: Callable[[], object], step: int) -> bool:
    """Run a function whose process is killed before its change number `step`, from 0; return whether it was.

    Raises AssertionError if the function fails.
    """
    process = start_killed(function, step)
    process.join(60)
    assert process.exitcode is not None, "the process does not end"
    assert process.exitcode in (0, -signal.SIGKILL), f"exit code {process.exitcode}"
    return process.exitcode == -signal.SIGKILL


def start_killed(function: Callable[[], object], step: int) -> multiprocessing.process.BaseProcess:
    """Start a function in a process that is killed before its change number `step`."""
    process = multiprocessing.get_context("fork").Process(target=_run, args=(function, step))
    process.start()
    return process


def _run(function: Callable[[], object], step: int) -> None:
    left = step

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event == "open":
            path, _, flags = arguments
            if not isinstance(flags, int) or not flags & _WRITES or path == os.devnull:
                return
        elif event not in _EVENTS:
            return
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    sys.addaudithook(count)
    function()
