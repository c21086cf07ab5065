"""The requests to the model process: which wait, which are in flight, and which may have ended the process."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from .errors import Crashed, Overloaded, ServingError, TooLate
from .limits import KIB, Limits

_MIN_WEIGHT = 4 * KIB
_OVERDUE_SECONDS = 2.0
"""Time for the model process to answer a request that is past its deadline, before the process is replaced."""

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
    bound: bool = False
    """Whether only the process that has it can answer it."""
    late: bool = False
    """Whether the process did not stop working on it after its limit."""
    timer: asyncio.TimerHandle | None = None
    leave: Callable[["Call"], None] = field(init=False, repr=False)
    """Where to report that nobody waits for it any more."""
    weight: int = field(init=False)
    """Its share of what may be in flight at a time."""

    def __post_init__(self) -> None:
        self.weight = weigh(self.body)

    def fail(self, error: ServingError) -> None:
        """End it with an error, unless it has ended."""
        if self.timer is not None:
            self.timer.cancel()
        if not self.reply.done():
            self.reply.set_exception(error)


def weigh(body: bytes) -> int:
    """Return a request's share of what may be in flight at a time."""
    return max(len(body), _MIN_WEIGHT)


class Calls:
    """All requests of a process that have not ended."""

    def __init__(self, limits: Limits, end: Callable[[], None]) -> None:
        """Keep requests; `end` ends the process if it does not stop working on one."""
        self._loop = asyncio.get_running_loop()
        self._limits, self._end = limits, end
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
        """Let a request wait for its turn, until its deadline."""
        if call.timer is not None:
            call.timer.cancel()
        call.timer = self._loop.call_at(call.deadline, self._expire, call)
        call.leave = self._leave
        self._waiting.append(call)

    def has_room(self, weight: int) -> bool:
        """Return True if a request would not have to wait for its turn."""
        return not self._waiting and not self._suspects and self._fits(weight)

    def release(self) -> list[Call]:
        """Remove and return the requests that wait for their turn and that another process can answer."""
        released = [call for call in self._waiting if not call.bound]
        self._waiting = deque(call for call in self._waiting if call.bound)
        return released

    def take(self) -> tuple[int, Call] | None:
        """Return the next request that may be sent, with its id, or None.

        Suspects are sent alone; of others, no more are in flight than the weight of one large body.
        """
        queue = self._next_queue()
        if queue is None:
            return None
        alone = queue is self._suspects
        if not self._fits(queue[0].weight, alone):
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

    def fail_in_flight(self, error: ServingError) -> None:
        """End the requests that a process, which is gone, worked on."""
        for call in self._in_flight.values():
            call.fail(error)
        self._in_flight, self._weight = {}, 0

    def fail_all(self, error: ServingError) -> None:
        """End all requests with an error."""
        for call in (*self._waiting, *self._suspects, *self._in_flight.values()):
            call.fail(error)
        self._waiting.clear()
        self._suspects.clear()

    def _fits(self, weight: int, alone: bool = False) -> bool:
        """Return True if a request can be in flight beside those that are."""
        if not self._in_flight:
            return True
        return not (alone or self._alone) and self._weight + weight <= self._limits.max_body_bytes

    def _next_queue(self) -> deque[Call] | None:
        """Return the queue whose first request is next: suspects go first, and ended requests are dropped."""
        for queue in (self._suspects, self._waiting):
            while queue and queue[0].reply.done():
                queue.popleft()
            if queue:
                return queue
        return None

    def _is_in_flight(self, call: Call) -> bool:
        """Return True if the process works on the request."""
        return call in self._in_flight.values()

    def _leave(self, call: Call) -> None:
        """Drop a request that nobody waits for any more; the process has to stop working on it all the same."""
        if call.timer is not None:
            call.timer.cancel()
        for queue in (self._suspects, self._waiting):
            with suppress(ValueError):
                queue.remove(call)
        if self._is_in_flight(call):
            call.timer = self._loop.call_at(call.limit + _OVERDUE_SECONDS, self._end_process, call)

    def _expire(self, call: Call) -> None:
        """End a request at its deadline."""
        if self._is_in_flight(call):
            # The process knows the deadline, too, and is about to answer.
            call.timer = self._loop.call_later(_OVERDUE_SECONDS, call.fail, TooLate())
        elif call.deadline < call.limit:
            call.fail(TooLate())
        else:
            call.fail(Overloaded(f"the request waited {self._limits.run_timeout_seconds:g} s for its turn"))

    def _end_process(self, call: Call) -> None:
        """End the process if it still works on a request."""
        if self._is_in_flight(call):
            call.late = True
            self._end()
