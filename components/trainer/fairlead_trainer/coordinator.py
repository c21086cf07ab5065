"""The run that the server's requests and the launcher's loop share: the lock and the clock around `run.step`."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from fairlead_contracts.launcher_status import MAX_NAMED, LauncherStatus, ReadyWorkers, Registration

from .messages import read_end, read_heartbeat, read_registration
from .run import Assigned, Closed, Event, Order, Resumed, Run, State, Tick, begin, step

log = logging.getLogger("launcher")

_PAUSE = 2.0
"""Seconds by which a wait must be late to count as a pause of the launcher."""
_ANSWERS = {"Waiting": "wait", "Running": "run", "Succeeded": "run", "Failed": "stop"}
"""What agents are told in each phase."""


class Coordinator:
    """Track one run from Waiting through Running to Succeeded or Failed."""

    def __init__(self, run: Run, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._clock = clock
        self._state = begin(run, clock())
        self._orders: deque[Order] = deque()
        self._waited: float | None = None
        self._changed = threading.Condition()

    @property
    def state(self) -> State:
        """Return the current state."""
        return self._state

    # Requests from agents.

    def register(self, message: dict[str, Any]) -> dict[str, Any]:
        """Register a worker; return its slots once all workers have registered."""
        event = read_registration(self._run, message)
        with self._changed:
            state = self._step(event)
            answer = _ANSWERS[state.phase]
            if state.phase == "Waiting" or state.slots is None:
                return {"state": answer}
            own = state.slots[event.id.worker]
            return {"state": answer, "slots": [{"rank": s.rank, "environment": s.environment} for s in own]}

    def heartbeat(self, message: dict[str, Any]) -> dict[str, Any]:
        """Record a heartbeat and its progress; return the state and whether all other workers have finished."""
        event = read_heartbeat(self._run, message)
        with self._changed:
            state = self._step(event)
            finished = state.facts.agents[event.id.worker].finished
            return {"state": _ANSWERS[state.phase], "othersFinished": state.unfinished == (0 if finished else 1)}

    def finish(self, message: dict[str, Any]) -> dict[str, Any]:
        """Record a worker's end: its exit codes, its failure, or why it stopped.

        Return whether its failure is the cause of the run's.
        """
        event = read_end(self._run, message)
        with self._changed:
            self._step(event)
            if event.failure is not None:
                # The root cause may not have been reported yet: peers often notice first.
                longest = self._run.timing.silence_after_failure + 5
                self._changed.wait_for(lambda: self._state.phase == "Failed", timeout=longest)
            cause = self._state.cause
            is_cause = event.failure is not None and cause is not None and cause.worker == event.failure.worker
            return {"state": _ANSWERS[self._state.phase], "cause": is_cause}

    # Calls from the launcher.

    def wait(self, seconds: float) -> None:
        """Wait for a change, for at most `seconds`; notice if the launcher was paused meanwhile, such as by SIGSTOP."""
        with self._changed:
            if not self._orders:
                self._changed.wait(seconds)
            now, last = self._clock(), self._waited
            self._waited = now
            if last is not None and now - last > seconds + _PAUSE:
                log.warning("the launcher was paused for %.1f s", now - last)
                self._step(Resumed())

    def decide(self) -> Order | None:
        """Judge the run at this time; return the next order."""
        with self._changed:
            self._step(Tick())
            return self._orders.popleft() if self._orders else None

    def assigned(self, event: Assigned) -> None:
        """Let the agents start the processes that the backend has assigned."""
        with self._changed:
            self._step(event)

    def close(self) -> None:
        """Wake all requests that wait for a result."""
        with self._changed:
            self._step(Closed())
            self._changed.notify_all()

    def quiet(self) -> bool:
        """Return whether every live agent has finished."""
        with self._changed:
            return self._count_active() == 0

    def missing(self) -> list[int]:
        """Return the workers that have not registered."""
        with self._changed:
            return self._state.facts.missing()

    def status(self) -> dict[str, Any]:
        """Return the status that the operator reads."""
        with self._changed:
            state, agents = self._state, self._state.facts.agents
            ready = self._count_active() + sum(agent.succeeded for agent in agents.values())
            workers = ReadyWorkers(ready=ready, desired=self._run.workers, registered=len(agents))
            waiting = self._registration()
            return LauncherStatus(
                phase=state.phase, workers=workers, waiting=waiting, progress=state.progress
            ).to_json()

    def _step(self, event: Event) -> State:
        before = self._state
        self._state, orders = step(self._run, before, event, self._clock())
        self._orders.extend(orders)
        if orders or self._state.phase != before.phase or self._state.unfinished != before.unfinished:
            self._changed.notify_all()
        return self._state

    def _count_active(self) -> int:
        return self._state.facts.count_active(self._run.timing.silence, self._clock())

    def _registration(self) -> Registration | None:
        facts, missing = self._state.facts, self._state.facts.missing()
        if not missing:
            return None
        # The clock is monotonic; only the status needs the time of day.
        zero = datetime.now(UTC) - timedelta(seconds=self._clock())
        until = None if facts.first is None else max(facts.first, facts.resumed) + self._run.timing.registration
        return Registration(
            workers=tuple(missing[:MAX_NAMED]),
            since=(zero + timedelta(seconds=facts.started)).replace(microsecond=0),
            until=None if until is None else (zero + timedelta(seconds=until)).replace(microsecond=0),
        )
