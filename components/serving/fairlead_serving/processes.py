"""The model processes of a server: each request goes to one where it need not wait, and that has the fewest.

Each is supervised for itself and has its share of the models' memory, so that a crash, a replacement or a deadline
concerns the requests of one process alone. See docs/decisions/0048-model-processes.md.
"""

import asyncio
import logging
from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from typing import Any

from .calls import Reply, weigh
from .limits import Limits
from .supervisor import CannotServe, ModelProcess

_log = logging.getLogger(__name__)
_BACKOFF_SECONDS = (1, 2, 4, 8, 16, 32, 60)
_CANNOT_LOAD = "cannot load the models"
"""The cause of a replacement that follows one which could not load: a bounded word for metrics."""


class ModelProcesses:
    """Some model processes with the same models, from their first start to the end of the server."""

    def __init__(
        self, command: Sequence[str], config: dict[str, Any], body: bytes, limits: Limits, count: int = 1,
        owned: Container[str] = (), restarted: Callable[[str], None] | None = None,
        warmed: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:  # fmt: skip
        """Prepare `count` processes. Requests of the `owned` protocols change what the models have learned: they go to
        the first process, and the others get its state."""
        share = limits.share_model_bytes(count)
        self._processes = [
            ModelProcess(command, config, body, limits, restarted, warmed, share, count) for _ in range(count)
        ]  # fmt: skip
        self._owner, *self._others = self._processes
        self._owned, self._restarted = owned, restarted
        self._was_ready = False
        self._closing = asyncio.Event()
        for process in self._processes:
            process.watch(self._notice)
        self.keep_state(None, lambda _: None)

    @property
    def facts(self) -> Reply | None:
        """Return what the processes reported about the models; None until one has loaded them."""
        return next(iter(self.all_facts), None)

    @property
    def all_facts(self) -> list[Reply]:
        """Return what each process that has loaded the models reported about them."""
        return [process.facts for process in self._processes if process.facts is not None]

    @property
    def unready(self) -> str | None:
        """Return why the server should get no requests.

        None once all processes can answer them, and then as long as one that serves can. While none serves, requests
        wait for the replacements, unless one of these has a reason against it.
        """
        if self._was_ready and any(process.serving and process.unready is None for process in self._processes):
            return None
        return next((reason for reason in self.reasons if reason is not None), None)

    @property
    def reasons(self) -> list[str | None]:
        """Return why each process cannot answer requests; None for one that can."""
        return [process.unready for process in self._processes]

    @property
    def serving(self) -> int:
        """Return how many processes have loaded the models and run."""
        return sum(process.serving for process in self._processes)

    @property
    def in_flight(self) -> int:
        """Return how many requests have not ended."""
        return sum(len(process.calls) for process in self._processes)

    def keep_state(self, state: Any, keep: Callable[[Any], None]) -> None:
        """Begin with a state that was kept earlier; `keep` gets each later one."""

        def share(new: Any) -> None:
            keep(new)
            for other in self._others:
                other.adopt_state(new)

        self._owner.keep_state(state, share)
        for other in self._others:
            other.adopt_state(state)

    async def run(self) -> None:
        """Keep all processes running; raise CannotServe, which ends all.

        Before the server has been ready, one process that cannot load is enough for that; then, it takes all.
        """
        tasks = [asyncio.create_task(self._keep(process)) for process in self._processes]
        try:
            await asyncio.gather(*tasks)
        finally:
            self.close()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def call(self, head: dict[str, Any], body: bytes, seconds: float | None = None) -> Reply:
        """Return a process's reply; raise ServingError. A client may wait for less than the server's limit.

        The head is the call's from now on.
        """
        if not self._others or head.get("protocol") in self._owned:
            return await self._owner.call(head, body, seconds)
        return await self._choose(weigh(body)).call(head, body, seconds, bound=False)

    async def call_each(self, head: dict[str, Any], seconds: float) -> list[Reply]:
        """Return the replies of all processes; raise ServingError unless there are all."""
        return await asyncio.gather(*(process.call(dict(head), b"", seconds) for process in self._processes))

    def close(self) -> None:
        """End the processes; requests in flight fail."""
        self._closing.set()
        for process in self._processes:
            process.close()

    def _choose(self, weight: int) -> ModelProcess:
        """Return the process for a request of some weight."""

        def rank(process: ModelProcess) -> tuple[bool, bool, bool, bool, int]:
            unready = process.facts is None, process.unready is not None
            return not process.serving, *unready, not process.calls.has_room(weight), len(process.calls)

        return min(self._processes, key=rank)

    async def _keep(self, process: ModelProcess) -> None:
        """Keep a process running, and try again if it cannot load while others may serve; raise CannotServe."""
        while not self._closing.is_set():
            try:
                await process.run()
            except CannotServe as error:
                if not self._was_ready or all(each.failures for each in self._processes):
                    raise
                seconds = _BACKOFF_SECONDS[min(process.failures, len(_BACKOFF_SECONDS)) - 1]
                facts = {"at": error.at, "reason": error.problem, "retry_seconds": seconds, "serving": self.serving}
                _log.error("a model process cannot be replaced", extra=facts)
                if self._restarted is not None:
                    self._restarted(_CANNOT_LOAD)
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._closing.wait()

    def _notice(self) -> None:
        """Note the first readiness, and let processes that serve answer what waits for one that does not."""
        self._was_ready = self._was_ready or all(process.unready is None for process in self._processes)
        if not self.serving:
            return
        for process in self._processes:
            if not process.serving:
                for call in process.calls.release():
                    self._choose(call.weight).accept(call)
