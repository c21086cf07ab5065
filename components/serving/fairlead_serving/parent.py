"""The parent of the serving process: forks it, passes signals on, and forks it again when it dies.

It does nothing on a request's path. A process that dies with requests in flight, or while it loads the models into
itself, may have been ended by the models: its successor keeps them in a process of their own (supervisor.py).
See docs/decisions/0045-models-in-the-serving-process.md.
"""

import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from .board import Board
from .child import end_with_parent
from .process import describe_exit

_log = logging.getLogger(__name__)
_POLL_SECONDS = 1.0
SILENT_POLLS = 10
"""After as many polls without a sign of its event loop, the process is ended."""
_STABLE_SECONDS = 60.0
"""A process that has lived for less counts as a failure in a row, each of which doubles the pause before the next."""
_MAX_PAUSE_SECONDS = 30.0
_PASSED_ON = (signal.SIGTERM, signal.SIGINT)
_WAITED_FOR = {*_PASSED_ON, signal.SIGCHLD}


@dataclass
class Past:
    """What the serving process has to know about those before it."""

    board: Board
    isolated: bool = False
    """Whether the models have to stay in a process of their own."""
    causes: Counter[str] = field(default_factory=Counter)
    """How often a process has ended, by cause."""
    lost: int = 0
    """How many requests were in flight in them."""


class Parent:
    """The parent of one serving process at a time."""

    def __init__(self, serve: Callable[[Past], int], stop_listening: Callable[[], None]) -> None:
        """Keep a process that runs `serve`; `stop_listening` is called here before the first signal is passed on."""
        self._serve, self._stop_listening = serve, stop_listening
        self._past = Past(Board())
        self._stopping = False

    def run(self) -> int:
        """Return the status with which the serving process exits, once it does so by itself."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED_FOR)
        failures = 0
        while True:
            begin = time.monotonic()
            status = self._run_once()
            if status >= 0:
                return status
            cause = self._past.board.cause or describe_exit(status)
            if self._stopping:
                _log.error("the serving process ended while it was stopping", extra={"cause": cause})
                return 1
            failures = failures + 1 if time.monotonic() - begin < _STABLE_SECONDS else 1
            self._note(cause)
            self._pause(min(2.0 ** (failures - 2), _MAX_PAUSE_SECONDS) if failures > 1 else 0.0)
            if self._stopping:
                return 0

    def _run_once(self) -> int:
        """Fork a process and wait for its end; return its exit status, or the negative number of its signal."""
        self._past.board.clear()
        pid = os.fork()
        if pid == 0:
            os._exit(self._run_child())
        beats, silent = -1, 0
        while True:
            self._wait(_POLL_SECONDS, pid)
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            silent = silent + 1 if self._past.board.beats == beats else 0
            beats = self._past.board.beats
            if silent >= SILENT_POLLS:
                self._past.board.cause = f"did not go on for {SILENT_POLLS * _POLL_SECONDS:g} s"
                os.kill(pid, signal.SIGKILL)

    def _run_child(self) -> int:
        # a terminal's Ctrl-C reaches this process only through its parent, and once
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WAITED_FOR)
        end_with_parent()
        try:
            return self._serve(self._past)
        except Exception:  # noqa: BLE001 - the outermost loop of the process
            _log.exception("the serving process failed")
            return 1

    def _wait(self, seconds: float, pid: int | None = None) -> None:
        """Wait for a signal, and pass it on if it is to end the server."""
        received = signal.sigtimedwait(_WAITED_FOR, seconds)
        if received is None or received.si_signo not in _PASSED_ON:
            return
        if not self._stopping:
            self._stop_listening()
        self._stopping = True
        if pid is not None:
            os.kill(pid, received.si_signo)

    def _note(self, cause: str) -> None:
        past, board = self._past, self._past.board
        past.isolated = past.isolated or board.in_flight > 0 or board.loading
        past.lost += board.in_flight
        past.causes[cause] += 1
        _log.error(
            "the serving process is replaced",
            extra={"cause": cause, "in_flight": board.in_flight, "isolated": past.isolated},
        )

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._stopping and (left := end - time.monotonic()) > 0:
            self._wait(left)
