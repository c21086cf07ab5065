"""Models in the serving process: a request to them costs neither another process nor, if they are fast, a thread.

Only models that were loaded, warmed up and found to be fast in a process of their own (supervisor.py) get here.
"""

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

from .board import Board
from .calls import Reply
from .child import TRIM_BYTES, Model, trim_memory
from .errors import MemoryExceeded, NotReady, Overloaded, ShuttingDown
from .limits import KIB, Limits

_log = logging.getLogger(__name__)
SMALL_BYTES = 64 * KIB
"""Bodies up to this size are answered at once; larger ones in flight are together not larger than the largest."""
_OVERDUE_SECONDS = 2.0
"""Time for a run that is past its deadline to end, before the process is replaced."""
_WATCH_SECONDS = 1.0


class LocalModels:
    """The models in this process, from their load to the end of the server."""

    def __init__(
        self, load_model: Callable[[], Model], config: dict[str, Any], body: bytes, limits: Limits, facts: Reply,
        board: Board,
    ) -> None:  # fmt: skip
        """Prepare the load of models about which another process has found out the facts."""
        self.facts: Reply | None = facts
        self.unready: str | None = "the models are loading"
        self.config = config
        self._load_model, self._body, self._limits, self._board = load_model, body, limits, board
        self._model: Model | None = None
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._running: dict[object, float] = {}
        """The requests that wait for something, with the time at which the process has to be done with them."""
        self._large = 0
        """The bytes of large bodies in flight."""
        self._freed = asyncio.Condition()
        self._state: Any = None
        self._keep: Callable[[Any], None] = lambda _: None

    def keep_state(self, state: Any, keep: Callable[[Any], None]) -> None:
        """Begin with a state that was kept earlier; `keep` gets each later one."""
        self._state, self._keep = state, keep

    async def run(self) -> None:
        """Load the models and serve them until the end."""
        self._board.loading = True
        limit = self._limits.serving_bytes
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        model = await asyncio.to_thread(self._load)
        await model.warm_up(0)
        self._board.loading = False
        # what lives as long as the process is not looked at again, which would hold up requests for milliseconds
        gc.collect()
        gc.freeze()
        self._model, self.unready = model, None
        _log.info("ready: the models are in the serving process")
        watching = asyncio.create_task(self._watch())
        try:
            await self._ended.wait()
        finally:
            watching.cancel()
            await model.close()

    async def call(self, head: dict[str, Any], body: bytes, seconds: float | None = None) -> Reply:
        """Return the models' reply; raise ServingError. A client may wait for less than the server's limit."""
        if self._ended.is_set():
            raise ShuttingDown
        if self._model is None:
            raise NotReady(f"not ready: {self.unready}")
        limit = self._limits.run_timeout_seconds
        head["seconds"] = limit if seconds is None else max(min(seconds, limit), 0.001)
        number = object()
        self._running[number] = self._loop.time() + limit + _OVERDUE_SECONDS
        try:
            if len(body) <= SMALL_BYTES:
                reply = await self._model.call(head, body)
            else:
                async with self._turn(len(body), head["seconds"]):
                    reply = await self._model.call(head, body)
        except MemoryError:
            raise MemoryExceeded(self._limits.serving_bytes) from None
        finally:
            del self._running[number]
        if "state" in reply[0]:
            self._keep(reply[0].pop("state"))
        if len(body) + len(reply[1]) > TRIM_BYTES:
            self._loop.call_soon(trim_memory)
        return reply

    def close(self) -> None:
        """Answer no more requests."""
        self._ended.set()

    def _load(self) -> Model:
        model = self._load_model()
        model.load({**self.config, "warm": True, "state": self._state}, self._body, lambda _at, _step: None)
        return model

    @contextlib.asynccontextmanager
    async def _turn(self, size: int, seconds: float) -> AsyncIterator[None]:
        """Wait until the large bodies in flight are not more than the largest that is allowed; raise Overloaded."""
        try:
            async with asyncio.timeout(seconds), self._freed:
                await self._freed.wait_for(lambda: not self._large or self._large + size <= self._limits.max_body_bytes)
                self._large += size
        except TimeoutError:
            raise Overloaded(f"the request waited {seconds:g} s for its turn") from None
        try:
            yield
        finally:
            self._large -= size
            async with self._freed:
                self._freed.notify_all()

    async def _watch(self) -> None:
        """End the process if it cannot end a request: nothing else ends a kernel that runs on."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            # they are in the order in which they began
            if next(iter(self._running.values()), float("inf")) < self._loop.time():
                self._board.cause = f"did not end a request within {self._limits.run_timeout_seconds:g} s"
                os.kill(os.getpid(), signal.SIGKILL)
