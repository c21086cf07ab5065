"""The HTTP process's side: starts the model process, passes requests on, and replaces the process when it dies.

Requests that were in flight when the process died are tried again one at a time, so that the one whose values ended it
is known: it alone fails. See docs/decisions/0010-model-process.md.
"""

import asyncio
import logging
import os
import signal
import socket
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .errors import Crashed, MemoryExceeded, NotReady, Overloaded, ServingError, ShuttingDown, TooLate
from .frames import FrameError, FrameStream
from .limits import KIB, Limits

_log = logging.getLogger(__name__)
_OVERDUE_SECONDS = 2.0
"""Time for the model process to answer a request that is past its deadline, before the process is replaced."""
_MIN_WEIGHT = 4 * KIB
_ATTEMPTS = 2
"""The model process warms up with different input after it crashed on the first."""

Reply = tuple[dict[str, Any], bytes]


class CannotServe(Exception):
    """The models cannot be loaded, or end their process whatever the input."""

    def __init__(self, at: str, problem: str) -> None:
        super().__init__(f"{at}: {problem}")
        self.at, self.problem = at, problem


@dataclass(eq=False)
class _Call:
    head: dict[str, Any]
    body: bytes = field(repr=False)
    answer: asyncio.Future[Reply]
    deadline: float
    late: bool = False
    timer: asyncio.TimerHandle | None = None

    @property
    def weight(self) -> int:
        return max(len(self.body), _MIN_WEIGHT)


class ModelProcess:
    """The model process, from its first start to the end of the server."""

    def __init__(
        self, command: Sequence[str], config: dict[str, Any], body: bytes, limits: Limits,
        restarted: Callable[[str], None] | None = None, warmed: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:  # fmt: skip
        """Prepare a process; `restarted` gets the cause of each replacement, `warmed` the facts of the warm-up."""
        self.facts: Reply | None = None
        """What the model process reported about the models; None until they are loaded."""
        self.unready: str | None = "the models are loading"
        """Why requests cannot be answered; None if they can."""
        self._command, self._config, self._body, self._limits = command, config, body, limits
        self._restarted, self._warmed = restarted, warmed
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Call] = deque()
        self._suspects: deque[_Call] = deque()
        self._sent: dict[int, _Call] = {}
        self._weight = self._next_id = self._attempt = 0
        self._warm = self._loaded = self._closed = False
        self._process: subprocess.Popen[bytes] | None = None
        self._stream: FrameStream | None = None
        self._step = ("process", "start")
        self._step_timer: asyncio.TimerHandle | None = None
        self._failure: CannotServe | None = None
        self._overdue: str | None = None

    async def run(self) -> None:
        """Keep a model process running; raise CannotServe."""
        try:
            while not self._closed:
                await self._run_once()
        finally:
            self.close()

    async def call(self, head: dict[str, Any], body: bytes) -> Reply:
        """Return the model process's reply; raise ServingError."""
        if self._closed:
            raise ShuttingDown
        if self.facts is None:
            raise NotReady(f"not ready: {self.unready}")
        seconds = self._limits.run_timeout_seconds
        call = _Call(head, body, self._loop.create_future(), self._loop.time() + seconds)
        call.timer = self._loop.call_at(call.deadline, self._expire, call)
        self._waiting.append(call)
        self._dispatch()
        try:
            head, content = await call.answer
        finally:
            call.timer.cancel()
        if head.get("memory"):
            raise MemoryExceeded(self._limits.model_bytes)
        if head.get("failed"):
            raise ServingError("internal error; see the server's log")
        return head, content

    @property
    def pid(self) -> int | None:
        """Return the id of the running process."""
        return self._process.pid if self._process else None

    def close(self) -> None:
        """End the process; requests in flight fail."""
        self._closed = True
        for call in (*self._waiting, *self._suspects, *self._sent.values()):
            _fail(call, ShuttingDown())
        self._waiting.clear()
        self._suspects.clear()
        self._kill()

    # The life of one process

    async def _run_once(self) -> None:
        ours, theirs = socket.socketpair()
        gone = asyncio.Event()
        with theirs:
            environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}
            self._process = subprocess.Popen(  # noqa: ASYNC220 - asyncio's cannot end a child with its parent
                [*self._command, str(theirs.fileno())], pass_fds=[theirs.fileno()], env=environment,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        ours.setblocking(False)
        stream = FrameStream(self._receive, gone.set)
        await self._loop.create_unix_connection(lambda: stream, sock=ours)
        self._begin("process", "start")
        stream.send({
            "event": "config", **self._config, "model_bytes": self._limits.model_bytes,
            "attempt": self._attempt, "warm": self._warm,
        }, self._body)  # fmt: skip
        self._stream = stream
        try:
            await gone.wait()
        finally:
            self._stop_step()
            self._stream, self._loaded = None, False
            self._kill()
        status = await asyncio.to_thread(self._process.wait)
        if not self._closed:
            self._judge(self._overdue or _describe_exit(status))
        self._overdue = None

    def _judge(self, cause: str) -> None:
        """Decide what the end of a process means."""
        if self._failure is not None:
            raise self._failure
        at, step = self._step
        if step not in ("warm-up", ""):
            raise CannotServe(at, f"the model process {cause} during the step `{step}`")
        if step == "warm-up":
            self._attempt += 1
            if self._attempt >= _ATTEMPTS:
                raise CannotServe(
                    at, f"the model process {cause} on made-up input, {_ATTEMPTS} times with other values"
                )
        suspects, self._sent, self._weight = list(self._sent.values()), {}, 0
        guilty = [call for call in suspects if call.late] or (suspects if len(suspects) == 1 else [])
        for call in guilty:
            _fail(call, Crashed(cause))
        self._suspects.extendleft(
            reversed([call for call in suspects if call not in guilty and not call.answer.done()])
        )
        _log.error("the model process is replaced", extra={"cause": cause, "step": step, "in_flight": len(suspects)})
        if self._restarted is not None:
            self._restarted(cause)

    def _receive(self, head: dict[str, Any], body: bytes) -> None:
        event = head.pop("event")
        if event == "reply":
            self._finish(head, body)
        elif event == "step":
            self._begin(head["at"], head["step"])
            if head["step"] == "warm-up" and self._stream is not None:
                self._stream.send({"event": "go"})
        elif event == "loaded":
            self._begin("", "")
            self.facts, self._loaded = (head, body), True
            self._dispatch()
        elif event == "warm":
            self._begin("", "")
            self._warm = True
            if self._warmed is not None:
                self._warmed(head)
        elif event == "readiness":
            if head["reason"] != self.unready:
                _log.info("not ready" if head["reason"] else "ready", extra=head)
            self.unready = head["reason"]
        elif event == "failed":
            self._failure = CannotServe(head["at"], head["problem"])
        else:
            raise FrameError(event)

    def _begin(self, at: str, step: str) -> None:
        """Note the step that the process begins, and when it has to end."""
        self._stop_step()
        self._step = (at, step)
        if step:
            self._step_timer = self._loop.call_later(self._limits.load_timeout_seconds, self._give_up_step)

    def _give_up_step(self) -> None:
        self._overdue = f"did not finish within {self._limits.load_timeout_seconds:g} s"
        self._kill()

    def _stop_step(self) -> None:
        if self._step_timer is not None:
            self._step_timer.cancel()
            self._step_timer = None

    def _kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)

    # Requests

    def _dispatch(self) -> None:
        """Send what the process may work on: suspects alone, others up to the weight of one large body."""
        while self._loaded and self._stream is not None:
            queue = self._suspects or self._waiting
            while queue and queue[0].answer.done():
                queue.popleft()
            if not queue:
                if not (self._suspects or self._waiting):
                    return
                continue
            call = queue[0]
            alone = queue is self._suspects or any(other.head.get("alone") for other in self._sent.values())
            if self._sent and (alone or self._weight + call.weight > self._limits.max_body_bytes):
                return
            queue.popleft()
            call.head["alone"] = queue is self._suspects
            self._send(call)

    def _send(self, call: _Call) -> None:
        assert self._stream is not None
        self._next_id += 1
        self._sent[self._next_id] = call
        self._weight += call.weight
        seconds = max(call.deadline - self._loop.time(), 0.001)
        self._stream.send({"event": "call", **call.head, "id": self._next_id, "seconds": seconds}, call.body)

    def _finish(self, head: dict[str, Any], body: bytes) -> None:
        call = self._sent.pop(head.pop("id"))
        self._weight -= call.weight
        if not call.answer.done():
            call.answer.set_result((head, body))
        self._dispatch()

    def _expire(self, call: _Call) -> None:
        """End a request at its deadline, and the process if it does not stop working on it."""
        if call in self._sent.values():
            # The process knows the deadline, too, and is about to answer.
            call.timer = self._loop.call_later(_OVERDUE_SECONDS, self._give_up, call)
        else:
            _fail(call, Overloaded(f"the request waited {self._limits.run_timeout_seconds:g} s for its turn"))

    def _give_up(self, call: _Call) -> None:
        _fail(call, TooLate())
        if call in self._sent.values():
            call.late = True
            self._overdue = f"did not end a request within {self._limits.run_timeout_seconds:g} s"
            self._kill()


def _fail(call: _Call, error: Exception) -> None:
    if call.timer is not None:
        call.timer.cancel()
    if not call.answer.done():
        call.answer.set_exception(error)


def _describe_exit(status: int) -> str:
    if status >= 0:
        return f"exited with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    known = {"SIGFPE": " (an integer division that has no result)", "SIGKILL": " (perhaps for memory)"}
    return f"was ended by {name}{known.get(name, '')}"
