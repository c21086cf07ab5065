"""Requests that a route has rejected: if this server accepts one, the route was wrong, and not the client.

Without it, a candidate that accepts nothing, such as a model with another input, would have no errors.
"""

from collections.abc import Awaitable, Callable

from fairlead_serving.errors import Code, ServingError

from .counting import Counting
from .tasks import Tasks

_MAX_TASKS = 8
"""How many are looked at at a time; others are believed."""


class Doubts:
    """Asks this server about what routes have rejected, after the client has got its answer."""

    def __init__(self) -> None:
        self._tasks = Tasks()

    def add(self, counting: Counting, own: Callable[[], Awaitable[object]], seconds: float) -> None:
        """Count an error of a route, whose answer took so many seconds, if `own` answers its request."""
        if len(self._tasks) >= _MAX_TASKS:
            return
        self._tasks.start(self._run(counting, own, seconds))

    async def close(self) -> None:
        """End what is asked."""
        await self._tasks.close()

    async def _run(self, counting: Counting, own: Callable[[], Awaitable[object]], seconds: float) -> None:
        try:
            await own()
        except ServingError:
            return
        counting.observe(Code.BAD_NODE, seconds)
