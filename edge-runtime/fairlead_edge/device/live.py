"""A release that runs: its model process, and whether it answers as it did when it was built."""

import asyncio
import json

from fairlead_serving.errors import Code, ServingError
from fairlead_serving.limits import Limits

from ..bundle import Bundle
from ..errors import InvalidBundle
from ..server import build_process, wait_ready
from ..words import SELF_TEST
from .slots import Release

_POLL_SECONDS = 0.02


class Live:
    """A running release."""

    def __init__(self, bundle: Bundle, threads: int, limits: Limits) -> None:
        """Start the model process."""
        self.name = bundle.description.name
        self.release = Release(bundle.digest, bundle.description.version)
        self.restarts = 0
        """How often the model process was replaced."""
        self._self_test = bundle.self_test
        self.processes = build_process(bundle, threads, limits, self._count)
        self.running = asyncio.create_task(self.processes.run())

    @property
    def failure(self) -> str | None:
        """Return why it cannot serve any more, or None."""
        if not self.running.done():
            return None
        error = None if self.running.cancelled() else self.running.exception()
        return str(error) if error else "the model process has ended"

    @property
    def answers(self) -> bool:
        """Return True if its model process can answer requests."""
        return self.processes.serving > 0 and self.processes.unready is None

    async def wait_ready(self) -> None:
        """Wait until it answers; raise InvalidBundle if it cannot."""
        await wait_ready(self.processes, self.running)
        if self.failure is not None:
            raise InvalidBundle(self.failure)

    async def find_problem(self) -> str | None:
        """Run the bundle's self-test; return what is wrong, or None."""
        if not self._self_test:
            return None
        try:
            head, content = await self.processes.call({"protocol": SELF_TEST}, self._self_test)
        except ServingError as error:
            return f"self-test: {error}"
        problem = json.loads(content)["problem"] if head["code"] == Code.OK else head["error"]
        return problem and f"self-test: {problem}"

    async def retire(self, seconds: float) -> None:
        """End it as soon as its requests have been answered, or after some seconds."""
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        try:
            while self.processes.in_flight and clock() < end:  # noqa: ASYNC110 - two conditions
                await asyncio.sleep(_POLL_SECONDS)
        finally:
            await self.close()

    async def close(self) -> None:
        """End it; requests in flight fail."""
        self.processes.close()
        self.running.cancel()
        # not awaited by itself: an end of this task from outside would be taken for the other's
        await asyncio.gather(self.running, return_exceptions=True)

    def _count(self, _cause: str) -> None:
        self.restarts += 1
