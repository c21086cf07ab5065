"""A timer that is set far more often than it rings."""

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls a function after some seconds, unless it is set again or cleared before.

    Each request sets some, and nearly none rings: setting it to a later time, or clearing it, costs no call of the
    event loop. Its timer looks at the time when it ends, and begins again if it is too early.
    """

    __slots__ = ("_action", "_due", "_loop", "_timer", "_timer_due")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due = self._timer_due = 0.0
        self._action: Callable[[], object] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float, action: Callable[[], object]) -> None:
        """Call a function after some seconds, instead of what was set before."""
        self._action = action
        self._due = self._loop.time() + seconds
        if self._timer is None or self._due < self._timer_due:
            self._start()

    def clear(self) -> None:
        """Call nothing."""
        self._action = None

    def close(self) -> None:
        """Call nothing, and leave nothing with the event loop."""
        self._action = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = self._due
        self._timer = self._loop.call_at(self._due, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._action is None:
            return
        if self._due > self._timer_due:
            self._start()
            return
        action, self._action = self._action, None
        action()
