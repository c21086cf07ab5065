"""A deduplicating queue of keys: each key is queued at most once and processed by one worker at a time."""

import asyncio
import heapq
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Key = TypeVar("Key")

_INITIAL_BACKOFF, _MAX_BACKOFF = 0.5, 60.0
_HEAP_SLACK = 64


class Backoff(Exception):
    """Raised by work that failed for the exception's cause, to retry with backoff, but within a time."""

    def __init__(self, within: float | None) -> None:
        super().__init__()
        self.within = within
        """The maximum number of seconds until the retry; None for no other limit than the backoff's."""


@dataclass(slots=True)
class _State:
    """The state of a key that is queued, running or backing off."""

    due: float | None = None
    """When it runs next, on the monotonic clock; None if it is not queued."""
    running_since: float | None = None
    failures: int = 0


@dataclass
class KeyedQueue(Generic[Key]):
    """Runs `work(key)` for every added key; `work` returns the seconds until its next run, or None."""

    work: Callable[[Key], Awaitable[float | None]]
    on_error: Callable[[Key, Exception, float], None]
    """Called for every failure with the seconds until the retry."""
    on_start: Callable[[Key, float], None] | None = None
    """Called for every run with the seconds for which the key was due."""
    _states: dict[Key, _State] = field(default_factory=dict)
    _heap: list[tuple[float, int, Key]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _count: int = 0
    _workers: int = 1
    _running: int = 0

    @property
    def busy(self) -> bool:
        """Return whether all workers are taken, so that a key that becomes due has to wait."""
        return self._running >= self._workers

    def add(self, key: Key, delay: float = 0.0) -> None:
        """Schedule a key after `delay` seconds; the earliest of several times counts."""
        self._schedule(key, time.monotonic() + delay)
        self._changed.set()

    async def run(self, workers: int) -> None:
        """Process keys until cancelled, at most `workers` at a time."""
        free, self._workers = asyncio.Semaphore(workers), workers
        async with asyncio.TaskGroup() as group:
            while True:
                await free.acquire()
                key = await self._take()
                group.create_task(self._work_on(key)).add_done_callback(lambda _: free.release())

    def oldest(self) -> float:
        """Return the seconds for which the oldest due or running key has been waiting."""
        now = time.monotonic()
        since = [
            moment
            for state in self._states.values()
            for moment in (state.running_since, state.due)
            if moment is not None and moment <= now
        ]
        return now - min(since) if since else 0.0

    def __len__(self) -> int:
        """Return the number of due and running keys."""
        now = time.monotonic()
        return sum(state.running_since is not None or (state.due or now + 1) <= now for state in self._states.values())

    async def _take(self) -> Key:
        """Wait for the next key that is due and not running."""
        while True:
            now = time.monotonic()
            while self._heap and self._heap[0][0] <= now:
                due, _, key = heapq.heappop(self._heap)
                state = self._states.get(key)
                # skip an entry that an earlier one replaced, or whose key is running
                if state and state.due == due and state.running_since is None:
                    state.due, state.running_since = None, now
                    if self.on_start:
                        self.on_start(key, now - due)
                    return key
            self._changed.clear()
            loop = asyncio.get_running_loop()
            alarm = loop.call_later(self._heap[0][0] - now, self._changed.set) if self._heap else None
            try:
                await self._changed.wait()
            finally:
                if alarm:
                    alarm.cancel()

    async def _work_on(self, key: Key) -> None:
        self._running += 1
        again = await self._try(key)
        self._running -= 1
        self._finish(key, again)
        self._changed.set()

    async def _try(self, key: Key) -> float | None:
        state = self._states[key]
        try:
            again = await self.work(key)
        except Exception as error:  # noqa: BLE001 - the outermost loop: one resource's failure must not affect others
            delay = min(_INITIAL_BACKOFF * 2.0 ** min(state.failures, 16), _MAX_BACKOFF)
            state.failures += 1
            if isinstance(error, Backoff):
                delay = delay if error.within is None else min(delay, error.within)
                error = error.__cause__ if isinstance(error.__cause__, Exception) else error
            self.on_error(key, error, delay)
            return delay
        state.failures = 0
        return again

    def _finish(self, key: Key, again: float | None) -> None:
        state = self._states[key]
        state.running_since = None
        if again is not None:
            # it may have been added while it ran
            state.due = min(time.monotonic() + again, state.due or math.inf)
        if state.due is not None:
            self._push(key, state.due)
        elif not state.failures:
            del self._states[key]

    def _schedule(self, key: Key, due: float) -> None:
        state = self._states.setdefault(key, _State())
        if state.due is None or due < state.due:
            state.due = due
            if state.running_since is None:
                self._push(key, due)

    def _push(self, key: Key, due: float) -> None:
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, key))
        if len(self._heap) > 2 * len(self._states) + _HEAP_SLACK:
            self._drop_outdated()

    def _drop_outdated(self) -> None:
        """Remove heap entries that earlier ones replaced: a far deadline's would otherwise stay until it passes."""
        waiting = [(state.due, key) for key, state in self._states.items() if state.due is not None]
        self._heap = [(due, number, key) for number, (due, key) in enumerate(waiting)]
        heapq.heapify(self._heap)
