"""One start of the model process: the child, the socket to it, and the time of the step that it is in."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from .board import Board
from .frames import FrameStream

_EXIT_SECONDS = 1.0
"""Time for a process that has closed its socket to exit by itself, so that its own exit status is reported."""


class CannotServe(Exception):
    """The models cannot be loaded, or end their process whatever the input."""

    def __init__(self, at: str, problem: str) -> None:
        super().__init__(f"{at}: {problem}")
        self.at, self.problem = at, problem


class Process:
    """A running process."""

    def __init__(
        self, command: Sequence[str], receive: Callable[[dict[str, Any], bytes], None], ended: Callable[[], None]
    ) -> None:
        """Start the command, with the numbers of its socket and its board as the last arguments.

        `receive` gets its frames; `ended` is called as soon as it is no longer alive.
        """
        self.alive = True
        """False as soon as the process is killed or has closed its socket, which is before it has exited."""
        self._loop = asyncio.get_running_loop()
        self._ended = ended
        self._gone = asyncio.Event()
        self._stream = FrameStream(receive, self._lose)
        self._step_timer: asyncio.TimerHandle | None = None
        self._overdue: str | None = None
        self.running: list[int] = []
        """The numbers of the places where something ran when it ended."""
        with contextlib.ExitStack() as opened:  # what is left open if the command cannot be started
            self._board = Board()
            opened.callback(self._board.close)
            self._socket, theirs = socket.socketpair()
            opened.callback(self._socket.close)
            with theirs:
                numbers = theirs.fileno(), self._board.number
                self._child = subprocess.Popen(
                    [*command, *map(str, numbers)], pass_fds=numbers,
                    env={**os.environ, "MALLOC_ARENA_MAX": "2"}, stdin=subprocess.DEVNULL,
                )  # fmt: skip
            opened.pop_all()
        self._socket.setblocking(False)

    @property
    def pid(self) -> int:
        """Return the process's id."""
        return self._child.pid

    async def connect(self) -> None:
        """Connect the socket to the event loop; frames can be sent and received from now on."""
        await self._loop.create_unix_connection(lambda: self._stream, sock=self._socket)

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        """Send a frame; nothing happens if the process is gone."""
        self._stream.send(head, body)

    def begin_step(self, seconds: float) -> None:
        """Kill the process unless another step begins, or the step ends, within some seconds."""
        self.end_step()
        self._step_timer = self._loop.call_later(seconds, self.kill, f"did not finish within {seconds:g} s")

    def end_step(self) -> None:
        """Let the process run without a deadline."""
        if self._step_timer is not None:
            self._step_timer.cancel()
            self._step_timer = None

    def kill(self, overdue: str | None = None) -> None:
        """End the process, which may be because it did not do something in time."""
        self._overdue = self._overdue or overdue
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGKILL)
        self._note_end()

    async def wait(self) -> str:
        """Return how the process has ended, once it has; it is killed if the wait is cancelled."""
        try:
            await self._gone.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_EXIT_SECONDS):
                    while self._child.poll() is None:  # noqa: ASYNC110 - an exit sets no event
                        await asyncio.sleep(0.01)
        finally:
            self.end_step()
            self.kill()
        status = await asyncio.to_thread(self._child.wait)
        self.running = self._board.list_running()
        self._board.close()
        return self._overdue or _describe_exit(status)

    def _lose(self) -> None:
        self._gone.set()
        self._note_end()

    def _note_end(self) -> None:
        if self.alive:
            self.alive = False
            self._ended()


def _describe_exit(status: int) -> str:
    if status >= 0:
        return f"exited with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    known = {"SIGFPE": " (an integer division that has no result)", "SIGKILL": " (perhaps for memory)"}
    return f"was ended by {name}{known.get(name, '')}"
