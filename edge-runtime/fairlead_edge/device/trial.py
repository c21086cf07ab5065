"""The trial of a candidate: its self-test, and its probation."""

import asyncio
from collections.abc import Callable

from ..errors import InvalidBundle
from .live import Live

_POLL_SECONDS = 0.5
_MAX_RESTARTS = 3
"""How many times a candidate's model process may be replaced on probation: single requests can end any model's."""


class Trial:
    """A candidate on trial."""

    def __init__(self, live: Live, probation_seconds: float, load_seconds: float) -> None:
        self._live, self._probation_seconds, self._load_seconds = live, probation_seconds, load_seconds

    async def test(self) -> str | None:
        """Wait until it is ready, and run its self-test; return what is wrong, or None."""
        try:
            await self._live.wait_ready()
        except InvalidBundle as error:
            return str(error)
        return await self._live.find_problem()

    async def watch(self, is_replaced: Callable[[], bool]) -> str | None:
        """Let it answer requests for the probation; return what is wrong with it, or None."""
        clock = asyncio.get_running_loop().time
        end = clock() + self._probation_seconds
        while (left := end - clock()) > 0 or not self._live.answers:
            if left < -self._load_seconds:
                return "the model process is not ready at the end of the probation"
            pause = min(_POLL_SECONDS, left) if left > 0 else _POLL_SECONDS
            await asyncio.wait([self._live.running], timeout=pause)
            if self._live.failure is not None:
                return self._live.failure
            if self._live.restarts >= _MAX_RESTARTS:
                return f"the model process ended {self._live.restarts} times within the probation"
            if is_replaced():
                return "another offer came before it was confirmed"
        return None
