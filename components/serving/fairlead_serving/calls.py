"""The requests to the model process: which wait, which are in flight, and which may have ended the process."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from .errors import Crashed, ServingError
from .limits import KIB

_MIN_WEIGHT = 4 * KIB

Reply = tuple[dict[str, Any], bytes]


@dataclass(eq=False, slots=True)
class Call:
    """A request to the model process."""

    head: dict[str, Any]
    """Its own: nobody else uses it."""
    body: bytes = field(repr=False)
    reply: asyncio.Future[Reply]
    deadline: float
    """When it has to be answered, in the event loop's time."""
    limit: float
    """Until when the process may work on it, which is later if its client waits for less than the server allows."""
    late: bool = False
    """Whether the process did not stop working on it after its limit."""
    timer: asyncio.TimerHandle | None = None
    weight: int = field(init=False)
    """Its share of what may be in flight at a time."""

    def __post_init__(self) -> None:
        self.weight = max(len(self.body), _MIN_WEIGHT)

    def fail(self, error: ServingError) -> None:
        """End it with an error, unless it has ended."""
        if self.timer is not None:
            self.timer.cancel()
        if not self.reply.done():
            self.reply.set_exception(error)


class Calls:
    """All requests that have not ended."""

    def __init__(self, max_weight: int) -> None:
        self._max_weight = max_weight
        self._waiting: deque[Call] = deque()
        self._suspects: deque[Call] = deque()
        self._in_flight: dict[int, Call] = {}
        self._weight = self._last_id = 0
        self._alone = False
        """Whether the request that was sent last has to be alone."""

    def __len__(self) -> int:
        """Return how many have not ended."""
        return len(self._waiting) + len(self._suspects) + len(self._in_flight)

    def add(self, call: Call) -> None:
        """Let a request wait for its turn."""
        self._waiting.append(call)

    def is_in_flight(self, call: Call) -> bool:
        """Return True if the process works on the request."""
        return call in self._in_flight.values()

    def forget(self, call: Call) -> None:
        """Drop a request that waits for its turn, with its body: its client is gone."""
        for queue in (self._suspects, self._waiting):
            with suppress(ValueError):
                queue.remove(call)

    def take(self) -> tuple[int, Call] | None:
        """Return the next request that may be sent, with its id, or None.

        Suspects are sent alone; of others, no more are in flight than the weight of one large body.
        """
        queue = self._next_queue()
        if queue is None:
            return None
        alone = queue is self._suspects
        if self._in_flight and (alone or self._alone or self._weight + queue[0].weight > self._max_weight):
            return None
        call = queue.popleft()
        call.head["alone"] = self._alone = alone
        self._last_id += 1
        self._in_flight[self._last_id] = call
        self._weight += call.weight
        return self._last_id, call

    def finish(self, number: int, reply: Reply) -> None:
        """End the request with an id."""
        call = self._in_flight.pop(number)
        self._weight -= call.weight
        if not call.reply.done():
            call.reply.set_result(reply)

    def suspect(self, cause: str, running: Sequence[str] = ()) -> int:
        """Fail the request that ended the process, if it is known; otherwise all in flight become suspects.

        Return how many were in flight. `running` is where something ran when the process ended.
        """
        calls = list(self._in_flight.values())
        self._in_flight, self._weight = {}, 0
        guilty = [call for call in calls if call.late] or (calls if len(calls) == 1 else [])
        for call in guilty:
            call.fail(Crashed(cause, running))
        self._suspects.extendleft(reversed([call for call in calls if call not in guilty and not call.reply.done()]))
        return len(calls)

    def fail_all(self, error: ServingError) -> None:
        """End all requests with an error."""
        for call in (*self._waiting, *self._suspects, *self._in_flight.values()):
            call.fail(error)
        self._waiting.clear()
        self._suspects.clear()

    def _next_queue(self) -> deque[Call] | None:
        """Return the queue whose first request is next: suspects go first, and ended requests are dropped."""
        for queue in (self._suspects, self._waiting):
            while queue and queue[0].reply.done():
                queue.popleft()
            if queue:
                return queue
        return None
