"""The HTTP process's side: starts the model process, passes requests on, and replaces the process when it dies.

Requests that were in flight when the process died are tried again one at a time, so that the one whose values ended it
is known: it alone fails. See docs/decisions/0010-model-process.md.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from .calls import Call, Calls, Reply
from .errors import MemoryExceeded, NotReady, ServingError, ShuttingDown, describe_running
from .frames import FrameError
from .limits import Limits
from .process import CannotServe, Process

__all__ = ["CannotServe", "ModelProcess", "Reply"]

_log = logging.getLogger(__name__)
_ATTEMPTS = 2
"""The model process warms up with different input after it crashed on the first."""


class ModelProcess:
    """The model process, from its first start to the end of the server."""

    def __init__(
        self, command: Sequence[str], config: dict[str, Any], body: bytes, limits: Limits,
        restarted: Callable[[str], None] | None = None, warmed: Callable[[dict[str, Any]], None] | None = None,
        model_bytes: int | None = None, peers: int = 1,
    ) -> None:  # fmt: skip
        """Prepare a process; `restarted` gets the cause of each replacement, `warmed` the facts of the warm-up.

        Its memory limit is `model_bytes`, or else all that is for models. It shares the cores with its peers, itself
        among them.
        """
        self.facts: Reply | None = None
        """What the model process reported about the models; None until they are loaded."""
        self.unready: str | None = "the models are loading"
        """Why requests cannot be answered; None if they can."""
        self.failures = 0
        """How many times in a row the models could not be loaded."""
        self._command, self._config, self._body, self._limits = command, config, body, limits
        self._restarted, self._warmed = restarted, warmed
        self._model_bytes = limits.model_bytes if model_bytes is None else model_bytes
        self._step_seconds = limits.load_timeout_seconds * peers
        self._loop = asyncio.get_running_loop()
        self.calls = Calls(limits, self._end_late)
        """The requests that have not ended."""
        self._changed: Callable[[], None] = lambda: None
        self._attempt = 0
        self._warm = self._loaded = self._closed = False
        self._process: Process | None = None
        self._step = ("process", "start")
        self._reported: CannotServe | None = None
        """What the latest process has said about why it cannot serve."""
        self._state: Any = None
        """What the last process has left for the next one."""
        self._keep: Callable[[Any], None] = lambda _: None
        self._adopted = False
        """Whether the state is of another process, and this one does not know it yet."""

    def keep_state(self, state: Any, keep: Callable[[Any], None]) -> None:
        """Begin with a state that was kept earlier; `keep` gets each later one."""
        self._state, self._keep = state, keep

    def adopt_state(self, state: Any) -> None:
        """Go on from a state of another process, from the next request on."""
        self._state, self._adopted = state, True

    async def run(self) -> None:
        """Keep a model process running; raise CannotServe, after which it may be run again."""
        try:
            while not self._closed:
                await self._run_once()
        except CannotServe as error:
            self.failures += 1
            self.unready = str(error)
            self.calls.fail_in_flight(NotReady(f"not ready: {error}"))
            raise

    def watch(self, changed: Callable[[], None]) -> None:
        """Call a function whenever the process begins or ceases to serve, or its readiness changes."""
        self._changed = changed

    async def call(
        self, head: dict[str, Any], body: bytes, seconds: float | None = None, bound: bool = True
    ) -> Reply:  # fmt: skip
        """Return the model process's reply; raise ServingError. A client may wait for less than the server's limit.

        The head is the call's from now on. A call that is not bound to this process can be released to another one.
        """
        if self._closed:
            raise ShuttingDown
        if self.facts is None:
            raise NotReady(f"not ready: {self.unready}")
        now, limit = self._loop.time(), self._limits.run_timeout_seconds
        deadline = now + (limit if seconds is None else max(min(seconds, limit), 0))
        call = Call(head, body, self._loop.create_future(), deadline, now + limit, bound)
        self.accept(call)
        try:
            head, content = await call.reply
        except (asyncio.CancelledError, ServingError):
            call.leave(call)
            raise
        if call.timer is not None:
            call.timer.cancel()
        if head.get("memory"):
            raise MemoryExceeded(self._model_bytes)
        if head.get("failed"):
            raise ServingError("internal error; see the server's log")
        return head, content

    def accept(self, call: Call) -> None:
        """Answer a call, which another process may have released."""
        self.calls.add(call)
        self._dispatch()

    @property
    def serving(self) -> bool:
        """Return whether a process has loaded the models and runs."""
        return self._loaded and self._process is not None and self._process.alive

    @property
    def pid(self) -> int | None:
        """Return the id of the latest process."""
        return self._process.pid if self._process else None

    def close(self) -> None:
        """End the process; requests in flight fail."""
        self._closed = True
        self.calls.fail_all(ShuttingDown())
        if self._process is not None:
            self._process.kill()

    # The life of one process

    async def _run_once(self) -> None:
        try:
            self._process = Process(self._command, self._receive, self._changed)
        except OSError as error:
            raise CannotServe("process", f"the model process cannot be started: {error.strerror}") from None
        await self._process.connect()
        self._begin("process", "start")
        self._reported, self._adopted = None, False
        self._process.send({
            "event": "config", **self._config, "model_bytes": self._model_bytes,
            "attempt": self._attempt, "warm": self._warm, "state": self._state,
        }, self._body)  # fmt: skip
        try:
            cause = await self._process.wait()
        finally:
            self._loaded = False
        if not self._closed:
            self._judge(cause)

    def _judge(self, cause: str) -> None:
        """Decide what the end of a process means."""
        if self._reported is not None:
            raise self._reported
        (at, step), running = self._step, self._find_running()
        if step not in ("warm-up", ""):
            raise CannotServe(at, f"the model process {cause} during the step `{step}`")
        if step == "warm-up":
            self._attempt += 1
            if self._attempt >= _ATTEMPTS:
                problem = f"the model process {cause} on made-up input, {_ATTEMPTS} times with other values"
                raise CannotServe(at, f"{problem}{describe_running(running)}")
        in_flight = self.calls.suspect(cause, running)
        facts = {"cause": cause, "step": step, "in_flight": in_flight, "running": running}
        _log.error("the model process is replaced", extra=facts)
        if self._restarted is not None:
            self._restarted(cause)

    def _find_running(self) -> list[str]:
        """Return the places, such as nodes, where something ran when the process ended."""
        places = self.facts[0].get("places", ()) if self.facts is not None else ()
        numbers = self._process.running if self._process is not None else ()
        return [places[number] for number in numbers if number < len(places)]

    def _receive(self, head: dict[str, Any], body: bytes) -> None:
        """Handle a frame of the process."""
        event = head.pop("event")
        if event == "reply":
            if "state" in head:
                self._state = head.pop("state")
                self._keep(self._state)
            self.calls.finish(head.pop("id"), (head, body))
            self._dispatch()
        elif event == "step":
            self._begin(head["at"], head["step"])
        elif event == "loaded":
            self._begin("", "")
            self.facts, self._loaded, self.failures = (head, body), True, 0
            self._dispatch()
            self._changed()
        elif event == "facts":
            self.facts = (head, body)
        elif event == "warm":
            self._begin("", "")
            self._warm = True
            if self._warmed is not None:
                self._warmed(head)
        elif event == "readiness":
            if head["reason"] != self.unready:
                _log.info("not ready" if head["reason"] else "ready", extra=head)
            self.unready = head["reason"]
            self._changed()
        elif event == "failed":
            self._reported = CannotServe(head["at"], head["problem"])
            if self._loaded and self._process is not None:
                self._process.kill()
        else:
            raise FrameError(event)

    def _begin(self, at: str, step: str) -> None:
        """Note the step that the process begins, which has to end in time; no name is none."""
        assert self._process is not None
        self._step = (at, step)
        if not step:
            self._process.end_step()
            return
        self._process.begin_step(self._step_seconds)
        if step == "warm-up":
            self._process.send({"event": "go"})

    # Requests

    def _dispatch(self) -> None:
        """Send what the process may work on."""
        process = self._process
        while process is not None and self.serving and (taken := self.calls.take()) is not None:
            if self._adopted:
                # not at once: what a process does not read would fill this one's memory
                process.send({"event": "state", "state": self._state})
                self._adopted = False
            number, call = taken
            head = call.head
            head["event"], head["id"] = "call", number
            head["seconds"] = max(call.deadline - self._loop.time(), 0.001)
            process.send(head, call.body)

    def _end_late(self) -> None:
        """End the process, which does not stop working on a request."""
        if self._process is not None:
            self._process.kill(f"did not end a request within {self._limits.run_timeout_seconds:g} s")
