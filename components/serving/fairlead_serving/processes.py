"""The model processes of a server: each request goes to one where it need not wait, and that has the fewest.

Each is supervised for itself and has its share of the models' memory, so that a crash, a replacement or a deadline
concerns the requests of one process alone. See docs/decisions/0048-model-processes.md.
"""

import asyncio
from collections.abc import Callable, Container, Sequence
from typing import Any

from .calls import Reply, weigh
from .limits import Limits
from .supervisor import ModelProcess


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
            ModelProcess(command, config, body, limits, restarted, warmed, share) for _ in range(count)
        ]  # fmt: skip
        self._owner, *self._others = self._processes
        self._owned = owned
        for process in self._processes:
            process.watch(self._spread)
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
        """Return why the server should get no requests; None once all processes can answer them."""
        return next((process.unready for process in self._processes if process.unready is not None), None)

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
        """Keep all processes running; raise CannotServe, which ends all, as soon as one cannot serve."""
        tasks = [asyncio.create_task(process.run()) for process in self._processes]
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
        for process in self._processes:
            process.close()

    def _choose(self, weight: int) -> ModelProcess:
        """Return the process for a request of some weight."""

        def rank(process: ModelProcess) -> tuple[bool, bool, bool, int]:
            calls = process.calls
            return not process.serving, process.facts is None, not calls.has_room(weight), len(calls)

        return min(self._processes, key=rank)

    def _spread(self) -> None:
        """Let processes that serve answer what waits for one that does not."""
        if not any(process.serving for process in self._processes):
            return
        for process in self._processes:
            if not process.serving:
                for call in process.calls.release():
                    self._choose(call.weight).accept(call)
