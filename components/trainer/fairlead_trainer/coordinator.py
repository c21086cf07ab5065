"""The run that the server's requests and the launcher's loop share: the lock and the clock around `run.step`."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from fairlead_contracts.launcher_status import MAX_NAMED, ElasticRun, LauncherStatus, ReadyWorkers, Registration
from fairlead_contracts.termination import Failure
from fairlead_contracts.tracking import Tracked

from .answers import answer, place
from .delayed import list_delays
from .events import (
    Announce,
    Arrived,
    Assign,
    Assigned,
    Closed,
    Event,
    Finished,
    Gone,
    Order,
    Prepared,
    Resumed,
    Tick,
)
from .losses import is_recalled
from .membership import MemberId
from .messages import read_delay, read_end, read_heartbeat, read_left, read_registration
from .run import step
from .state import Run, State, begin
from .verdict import is_consequence

log = logging.getLogger("launcher")

_PAUSE = 2.0
"""Seconds by which a wait must be late to count as a pause of the launcher."""
_MAX_LOG = 200


class Coordinator:
    """Track one run from Waiting through Running to Succeeded or Failed."""

    def __init__(
        self,
        run: Run,
        clock: Callable[[], float] = time.monotonic,
        tracked: Callable[[], Tracked | None] = lambda: None,
    ) -> None:
        self._run = run
        self._clock = clock
        self._tracked = tracked
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
        """Register a worker; return its processes once they may start: with its first epoch, or before."""
        event = read_registration(self._run, message)
        with self._changed:
            return place(self._step(event), event.id)

    def delay(self, message: dict[str, Any]) -> dict[str, Any]:
        """Record what delays a worker that has not registered."""
        event = read_delay(self._run, message)
        with self._changed:
            self._step(event)
            return {}

    def leave(self, message: dict[str, Any]) -> dict[str, Any]:
        """Note that a worker's processes of an epoch were stopped or have failed; return its slots in the next epoch.

        Without slots, a worker learns the number of the current epoch, of which it may not be a member.
        """
        event = read_left(self._run, message)
        with self._changed:
            state = self._step(event)
            return {"state": "wait"} if state.is_current(event.epoch) and not state.ended else place(state, event.id)

    def heartbeat(self, message: dict[str, Any]) -> dict[str, Any]:
        """Record a heartbeat and its progress; return the state.

        A worker whose processes have ended learns whether it holds rank 0, and whether all others have ended or
        succeeded. One that must stop the processes of the current epoch learns the epoch's number.
        """
        event = read_heartbeat(self._run, message)
        with self._changed:
            state = self._step(event)
            said: dict[str, Any] = {"state": answer(state, event.id)}
            recalled = is_recalled(self._run, state)
            if event.ended and state.is_current(event.epoch):
                all_ended = state.all_ended() and not recalled
                others = {"othersFinished": state.others_finished(event.id), "allEnded": all_ended}
                said |= {"first": state.is_first(event.id)} | others
            if recalled and state.membership is not None and state.trains(event.id):
                said["leave"] = state.membership.epoch
            return said

    def finish(self, message: dict[str, Any]) -> dict[str, Any]:
        """Record a worker's end: its exit codes, its failure, or why it stopped.

        Return whether its failure is the cause of the run's; in an elastic run, whether no other one is its cause.
        """
        event = read_end(self._run, message)
        with self._changed:
            self._step(event)
            if event.failure is not None and not self._run.elastic:
                # The root cause may not have been reported yet: peers often notice first.
                longest = self._run.timing.silence_after_failure + 5
                self._changed.wait_for(lambda: self._state.phase == "Failed", timeout=longest)
            return {"state": answer(self._state, event.id), "cause": self._is_to_blame(event.failure)}

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

    def answer(self, event: Prepared | Assigned) -> None:
        """Let the agents start the processes that the backend has prepared or assigned."""
        with self._changed:
            self._step(event)

    def arrived(self, id_: MemberId, epoch: int, complete: bool) -> None:
        """Note that a process of a worker, or the last one, waits for the epoch after this one."""
        if complete:
            log.info("worker %d waits for an epoch after %d", id_.worker, epoch)
        with self._changed:
            self._step(Arrived(id_, epoch, complete))

    def gone(self, id_: MemberId) -> None:
        """Note that a process of a worker does not wait for the next epoch any more."""
        log.info("a process of worker %d waits no longer", id_.worker)
        with self._changed:
            self._step(Gone(id_))

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
            return LauncherStatus(
                phase=state.phase,
                workers=workers,
                waiting=self._registration(),
                delays=list_delays(self._run, state, self._clock()),
                progress=state.progress,
                elastic=self._describe_elastic(),
                tracking=self._tracked(),
            ).to_json()

    def _step(self, event: Event) -> State:
        before = self._state
        self._state, orders = step(self._run, before, event, self._clock())
        for order in orders:
            if isinstance(order, Assign | Announce):
                # an announcement is of no use once there is a newer one, or the epoch has begun
                self._orders = deque(other for other in self._orders if not isinstance(other, Announce))
            self._orders.append(order)
        if self._run.elastic and self._state.facts.failures is not before.facts.failures:
            for failure in self._state.facts.failures:
                if failure not in before.facts.failures:
                    log.warning("lost worker %s: %s: %s", failure.worker, failure.reason, failure.log_tail[-_MAX_LOG:])
        if orders or self._state.phase != before.phase or isinstance(event, Finished):
            self._changed.notify_all()
        return self._state

    def _is_to_blame(self, failure: Failure | None) -> bool:
        if failure is None or self._run.elastic:
            return failure is not None and not is_consequence(failure, self._run.backend)
        cause = self._state.cause
        return cause is not None and cause.worker == failure.worker

    def _count_active(self) -> int:
        return self._state.facts.count_active(self._run.timing.silence, self._clock())

    def _describe_elastic(self) -> ElasticRun | None:
        state = self._state
        if not self._run.elastic or state.membership is None:
            return None
        elastic = state.elastic
        return ElasticRun(
            epoch=state.membership.epoch,
            workers=len(state.membership.members),
            lost_workers=elastic.lost_workers,
            lost_steps=elastic.lost_steps,
            reason=elastic.reason,
        )

    def _registration(self) -> Registration | None:
        facts, missing = self._state.facts, self._state.facts.missing()
        if not missing or (self._run.elastic and self._state.membership is not None):
            return None
        # The clock is monotonic; only the status needs the time of day.
        zero = datetime.now(UTC) - timedelta(seconds=self._clock())
        until = None if facts.first is None else max(facts.first, facts.resumed) + self._run.timing.registration
        return Registration(
            workers=tuple(missing[:MAX_NAMED]),
            since=(zero + timedelta(seconds=facts.started)).replace(microsecond=0),
            until=None if until is None else (zero + timedelta(seconds=until)).replace(microsecond=0),
        )
