"""The routes of the document in force: what is on its way to each, within what time, and what was measured of it."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from fairlead_contracts.traffic import Route
from fairlead_serving.errors import Code, ShuttingDown
from fairlead_serving.limits import Limits

from .counting import RouteCounting
from .flight import Flight, Passage, RouteFailed
from .table import Rotation

_MAX_COPIES = 16
"""Maximum number of copies on their way to one route."""


class Answer(Protocol):
    """What a route says."""

    @property
    def code(self) -> Code:
        """What became of the request."""


AnswerT = TypeVar("AnswerT", bound=Answer)
Send = Callable[[Route, Passage], Awaitable[AnswerT]]
"""Sends a request to a route, and returns its answer; raises ServingError."""


@dataclass(eq=False)
class Target:
    """A route of one document."""

    route: Route
    counting: RouteCounting
    live: Flight
    copies: Flight
    rotation: Rotation
    """What chooses the requests that are copied."""


def build_target(route: Route, routes: int, limits: Limits, before: Target | None, fresh: bool) -> Target:
    """Return a route's target, with what goes on from the document before; `fresh` begins to count.

    All routes together get at most three quarters of the memory for bodies.
    """
    live_bytes, copies_bytes = limits.buffered_bytes // 2 // routes, limits.buffered_bytes // 4 // routes
    if before is None:
        live, copies = Flight(max(limits.max_in_flight // 4, 1), live_bytes), Flight(_MAX_COPIES, copies_bytes)
        return Target(route, RouteCounting(), live, copies, Rotation(random.random()))
    before.live.max_bytes, before.copies.max_bytes = live_bytes, copies_bytes
    if fresh:
        before.counting.reset()
    return Target(route, before.counting, before.live, before.copies, before.rotation)


class Clock:
    """The time that routes have to answer, which is over when the server exits."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timers: set[asyncio.Timeout] = set()
        self._closed = False

    async def send(self, route: Route, passage: Passage, send: Send[AnswerT]) -> AnswerT:
        """Return a route's answer; raise ServingError."""
        if self._closed:
            raise ShuttingDown
        timer = asyncio.timeout(self._seconds)
        try:
            async with timer:
                self._timers.add(timer)
                return await send(route, passage)
        except TimeoutError:
            if self._closed:
                raise ShuttingDown from None
            raise RouteFailed(route.name, f"no answer within {self._seconds:g} s", Code.TOO_LATE) from None
        finally:
            self._timers.discard(timer)

    def give_up(self) -> None:
        """End what is on its way."""
        self._closed = True
        now = asyncio.get_running_loop().time()
        for timer in self._timers:
            if not timer.expired():
                timer.reschedule(now)
