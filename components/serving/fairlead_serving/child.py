"""The model process's side: limits itself, loads the models, and replies to frames until the HTTP process is gone."""

import asyncio
import contextlib
import ctypes
import logging
import resource
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, Protocol

from .board import Places
from .frames import FrameError, FrameStream, receive_frame, send_frame

_log = logging.getLogger(__name__)
_PR_SET_PDEATHSIG = 1
_TRIM_BYTES = 1 << 20
"""After larger frames, free memory is returned to the system."""

Report = Callable[[str, str], None]
"""Reports the step that begins: where, and what is done there."""
Reply = tuple[dict[str, Any], bytes]


class LoadFailed(Exception):
    """The models cannot be served."""

    def __init__(self, at: str, problem: str) -> None:
        super().__init__(f"{at}: {problem}")
        self.at, self.problem = at, problem


class Model(Protocol):
    """What the model process serves; `call` and `check` run in its event loop."""

    def load(self, config: dict[str, Any], body: bytes, report: Report) -> Reply:
        """Load everything, and return what the HTTP process has to know; raise LoadFailed. May block.

        On `config["places"]` it may note what it runs; their names are `places` in what it returns.
        """

    async def check(self) -> str | None:
        """Return why the model cannot serve now, or None; asked every few seconds. Raise LoadFailed if it never can."""

    def changed(self) -> Reply | None:
        """Return what `load` would return now, if that has changed; called after each check that found nothing."""

    async def warm_up(self, attempt: int) -> tuple[str | None, dict[str, Any]]:
        """Send made-up input through the model, which differs between attempts; raise NotYet if it cannot be tried now.

        Return what is wrong with it, or None, and what the HTTP process has to know.
        """

    async def call(self, head: dict[str, Any], body: bytes) -> Reply:
        """Answer a request; raise nothing but MemoryError.

        A `state` in the head is kept for the next process, which gets the last one with its `config`.
        """

    def restore(self, state: Any) -> None:
        """Go on from a state that another process has left; called before the requests that follow it."""

    async def close(self) -> None:
        """Release the model's resources."""


class NotYet(Exception):
    """The warm-up has to wait; the message contains the reason."""


def run_child(model: Model, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> int:
    """Serve a model over the socket whose number is the first argument; the second is its board. Return the status."""
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        head, body = receive_frame(connection)
        head["places"] = Places(int(sys.argv[2]))
        _limit(head["model_bytes"])
        try:
            reply, more = _load(model, head, body, connection)
        except LoadFailed as error:
            send_frame(connection, {"event": "failed", "at": error.at, "problem": error.problem})
            return 1
        del head["event"], body
        send_frame(connection, {"event": "loaded", **reply}, more)
        with asyncio.Runner(loop_factory=loop_factory) as runner, contextlib.suppress(FrameError):
            runner.run(_Child(model, head).serve(connection))
    return 0


def _load(model: Model, config: dict[str, Any], body: bytes, connection: socket.socket) -> Reply:
    """Load the model, and report its steps; raise LoadFailed."""
    place = "process"

    def report(at: str, step: str) -> None:
        nonlocal place
        place = at
        send_frame(connection, {"event": "step", "at": at, "step": step})

    try:
        return model.load(config, body, report)
    except MemoryError:
        problem = f"needs more memory than the models' limit of {config['model_bytes']} bytes"
        raise LoadFailed(place, problem) from None


class _Child:
    def __init__(self, model: Model, config: dict[str, Any]) -> None:
        self._model = model
        self._config = config
        self._tasks = set[asyncio.Task[None]]()
        self._acknowledged: asyncio.Future[None] | None = None

    async def serve(self, connection: socket.socket) -> None:
        """Reply to frames until the HTTP process is gone."""
        lost = asyncio.Event()
        self._stream = FrameStream(self._receive, lost.set)
        connection.setblocking(False)
        await asyncio.get_running_loop().create_unix_connection(lambda: self._stream, sock=connection)
        waiting, watching = asyncio.create_task(lost.wait()), asyncio.create_task(self._watch())
        await asyncio.wait((waiting, watching), return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            watching.result()  # an error in the program ends the process, rather than leave it unready
        watching.cancel()
        await self._model.close()

    def _receive(self, head: dict[str, Any], body: bytes) -> None:
        if head["event"] == "go":
            if self._acknowledged is not None and not self._acknowledged.done():
                self._acknowledged.set_result(None)
            return
        if head["event"] == "state":
            self._model.restore(head["state"])
            return
        task = asyncio.create_task(self._answer(head, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, head: dict[str, Any], body: bytes) -> None:
        size = len(body)
        try:
            reply, content = await self._model.call(head, body)
        except MemoryError:
            reply, content = {"memory": True}, b""
        except Exception:  # noqa: BLE001 - the outermost loop: one request must not end the process
            _log.exception("request failed")
            reply, content = {"failed": True}, b""
        del body
        self._stream.send({"event": "reply", "id": head["id"], **reply}, content)
        if size + len(content) > _TRIM_BYTES:
            del content
            _trim()

    async def _watch(self) -> None:
        """Warm up once everything responds, then keep checking."""
        attempt, reason = int(self._config["attempt"]), "loading"
        warm = bool(self._config["warm"])
        while True:
            try:
                problem = await self._model.check()
            except LoadFailed as error:
                self._stream.send({"event": "failed", "at": error.at, "problem": error.problem})
                await asyncio.Event().wait()  # the other process ends this one
            if problem is None and (facts := self._model.changed()) is not None:
                self._stream.send({"event": "facts", **facts[0]}, facts[1])
            if problem is None and not warm:
                try:
                    await self._warm_up(attempt)
                    warm = True
                except NotYet as error:
                    problem = str(error)
            if problem != reason:
                self._stream.send({"event": "readiness", "reason": problem})
                reason = problem or ""
            await asyncio.sleep(0.5 if problem else 5.0)

    async def _warm_up(self, attempt: int) -> None:
        # The HTTP process must know what runs before it runs, because this process may not survive it.
        self._acknowledged = asyncio.get_running_loop().create_future()
        self._stream.send({"event": "step", "at": "graph", "step": "warm-up"})
        await self._acknowledged
        try:
            problem, facts = await self._model.warm_up(attempt)
        except MemoryError:
            problem, facts = f"needs more memory than the models' limit of {self._config['model_bytes']} bytes", {}
        if problem is not None:
            _log.warning("the made-up warm-up request failed", extra={"reason": problem})
        self._stream.send({"event": "warm", **facts})


def _limit(model_bytes: int) -> None:
    """Bound this process's memory, let it end with its parent, and leave signals to the parent."""
    resource.setrlimit(resource.RLIMIT_DATA, (model_bytes, model_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _trim() -> None:
    """Return free memory to the system, where the C library can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
