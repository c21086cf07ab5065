"""The state of a run in the launcher: registered, live and finished workers, and the result.

It does no I/O: requests are dictionaries and the clocks are arguments. The server and the launcher's loop share it.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from fairlead_contracts.errors import ContractError
from fairlead_contracts.launcher_status import MAX_NAMED, LauncherStatus, Phase, ReadyWorkers, Registration
from fairlead_contracts.progress import ProgressReport
from fairlead_contracts.termination import Failure, PublishedModel

from .backends.base import Backend, Member, Slot
from .progress import Eta
from .settings import Timing
from .verdict import Agent, Facts, find_cause, has_succeeded, lost_launcher

log = logging.getLogger("launcher")

_PAUSE = 2.0
"""Seconds by which a wait must be late to count as a pause of the launcher."""
_MAX_TEXT = 500
_Part = TypeVar("_Part", Failure, PublishedModel)


class Rejected(Exception):
    """An authentic request that is not valid in this run."""


@dataclass(frozen=True)
class Run:
    """The workers, slots and attempt that agents must match."""

    workers: int
    slots: int
    attempt: int


class Coordinator:
    """Track one run from Waiting through Running to Succeeded or Failed."""

    def __init__(self, run: Run, backend: Backend, timing: Timing, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._backend = backend
        self._timing = timing
        self._clock = clock
        self._facts = Facts(run.workers, started=clock())
        self._unfinished = run.workers
        self._waited: float | None = None
        self._slots: dict[int, list[Slot]] | None = None
        self._eta = Eta()
        self._changed = threading.Condition()
        self.phase: Phase = "Waiting"
        self.cause: Failure | None = None
        self.model: PublishedModel | None = None
        self.progress: ProgressReport | None = None

    # Requests from agents.

    def register(self, message: dict[str, Any]) -> dict[str, Any]:
        """Register a worker; return its slots once all workers have registered."""
        with self._changed:
            worker = self._check_worker(message)
            if message.get("slots") != self._run.slots:
                raise Rejected(f"slots: got {message.get('slots')!r}, expected {self._run.slots}")
            if worker not in self._facts.agents:
                self._add(worker, message)
            self._find(message).seen = self._clock()
            if self.phase == "Waiting" or self._slots is None:
                return {"state": self._state()}
            slots = [{"rank": slot.rank, "environment": slot.environment} for slot in self._slots[worker]]
            return {"state": self._state(), "slots": slots}

    def heartbeat(self, message: dict[str, Any]) -> dict[str, Any]:
        """Record a heartbeat and its progress; return the state and whether all other workers have finished."""
        with self._changed:
            agent = self._find(message)
            agent.seen = self._clock()
            self._note_progress(message.get("progress"))
            others_finished = self._unfinished == (0 if agent.finished else 1)
            return {"state": self._state(), "othersFinished": others_finished}

    def finish(self, message: dict[str, Any]) -> dict[str, Any]:
        """Record a worker's end: its exit codes, its failure, or why it stopped.

        Return whether its failure is the cause of the run's.
        """
        with self._changed:
            failure, model = self._parse(Failure, message, "failure"), self._parse(PublishedModel, message, "model")
            agent = self._find_finished(message, failure)
            succeeded = failure is None and "stopped" not in message
            if succeeded and message.get("exitCodes") != [0] * self._run.slots:
                got = str(message.get("exitCodes"))[:_MAX_TEXT]
                raise Rejected(f"exitCodes: got {got}, expected 0 for each of {self._run.slots} slots")
            if agent is not None:
                self._unfinished -= not agent.finished
                agent.seen, agent.finished, agent.succeeded = self._clock(), True, succeeded
            self._note_progress(message.get("progress"))
            self.model = model or self.model
            self._changed.notify_all()
            if not succeeded and self.phase != "Failed":
                self._add_failure(failure or lost_launcher(str(message["stopped"])[:_MAX_TEXT]))
            if failure is not None:
                # The root cause may not have been reported yet: peers often notice first.
                self._changed.wait_for(lambda: self.phase == "Failed", timeout=self._timing.silence_after_failure + 5)
            return {"state": self._state(), "cause": self._is_cause(failure)}

    # Calls from the launcher.

    def wait(self, seconds: float) -> None:
        """Wait for a change, for at most `seconds`; notice if the launcher was paused meanwhile, such as by SIGSTOP."""
        with self._changed:
            self._changed.wait(seconds)
            now, last = self._clock(), self._waited
            self._waited = now
            if last is not None and now - last > seconds + _PAUSE:
                log.warning("the launcher was paused for %.1f s", now - last)
                self._facts.resumed = now

    def members(self) -> list[Member] | None:
        """Return all members in order, or None until all have registered."""
        with self._changed:
            agents = self._facts.agents
            return [agents[worker].member for worker in sorted(agents)] if len(agents) == self._run.workers else None

    def missing(self) -> list[int]:
        """Return the workers that have not registered."""
        with self._changed:
            return self._facts.missing()

    def start(self, slots: dict[int, list[Slot]]) -> None:
        """Let the agents start their processes."""
        with self._changed:
            self._slots = slots
            self.phase = "Running"

    def decide(self) -> bool:
        """Determine the result of the run if possible; return whether there is one."""
        with self._changed:
            if self.phase in ("Succeeded", "Failed"):
                return True
            self.cause = find_cause(self._facts, self._backend, self._timing, self._clock())
            if self.cause is not None:
                self.phase = "Failed"
            elif self.phase == "Running" and has_succeeded(self._facts):
                self.phase = "Succeeded"
            self._changed.notify_all()
            return self.phase in ("Succeeded", "Failed")

    def close(self) -> None:
        """Wake all requests that wait for a result."""
        with self._changed:
            if self.phase != "Succeeded":
                self.phase = "Failed"
            self._changed.notify_all()

    def quiet(self) -> bool:
        """Return whether every live agent has finished."""
        with self._changed:
            return self._count_active() == 0

    def status(self) -> dict[str, Any]:
        """Return the status that the operator reads."""
        with self._changed:
            agents = self._facts.agents
            ready = self._count_active() + sum(agent.succeeded for agent in agents.values())
            workers = ReadyWorkers(ready=ready, desired=self._run.workers, registered=len(agents))
            waiting, progress = self._registration(), self.progress
            return LauncherStatus(phase=self.phase, workers=workers, waiting=waiting, progress=progress).to_json()

    def _registration(self) -> Registration | None:
        facts, missing = self._facts, self._facts.missing()
        if not missing:
            return None
        # The clock is monotonic; only the status needs the time of day.
        zero = datetime.now(UTC) - timedelta(seconds=self._clock())
        until = None if facts.first is None else max(facts.first, facts.resumed) + self._timing.registration
        return Registration(
            workers=tuple(missing[:MAX_NAMED]),
            since=(zero + timedelta(seconds=facts.started)).replace(microsecond=0),
            until=None if until is None else (zero + timedelta(seconds=until)).replace(microsecond=0),
        )

    def _add(self, worker: int, message: dict[str, Any]) -> None:
        member = Member(
            worker, str(message["address"]), str(message["interface"]), self._run.slots, str(message.get("peer"))
        )
        now = self._clock()
        self._facts.agents[worker] = Agent(str(message["instance"]), member, now)
        self._facts.first = now if self._facts.first is None else self._facts.first
        self._changed.notify_all()

    def _add_failure(self, failure: Failure) -> None:
        if not self._facts.failures:
            self._facts.failed = self._clock()
        self._facts.failures.append(failure)

    def _is_cause(self, failure: Failure | None) -> bool:
        return failure is not None and self.cause is not None and self.cause.worker == failure.worker

    def _count_active(self) -> int:
        now, facts = self._clock(), self._facts
        alive = (
            facts.silence(agent, now) <= self._timing.silence for agent in facts.agents.values() if not agent.finished
        )
        return sum(alive)

    def _state(self) -> str:
        return {"Waiting": "wait", "Running": "run", "Succeeded": "run", "Failed": "stop"}[self.phase]

    def _check_worker(self, message: dict[str, Any]) -> int:
        worker = message.get("worker")
        if type(worker) is not int or not 0 <= worker < self._run.workers:
            raise Rejected(f"worker: got {worker!r}, expected 0 to {self._run.workers - 1}")
        if message.get("attempt") != self._run.attempt:
            raise Rejected(f"attempt: got {message.get('attempt')!r}, expected {self._run.attempt}")
        return worker

    def _find(self, message: dict[str, Any]) -> Agent:
        agent = self._facts.agents.get(self._check_worker(message))
        if agent is None or agent.instance != message.get("instance"):
            known = "another agent" if agent else "no agent"
            raise Rejected(f"worker {message['worker']} is registered by {known}")
        return agent

    def _find_finished(self, message: dict[str, Any], failure: Failure | None) -> Agent | None:
        """Return the agent that has finished; None if it failed before it could register."""
        if message.get("worker") in self._facts.agents or failure is None:
            return self._find(message)
        self._check_worker(message)
        return None

    def _parse(self, kind: type[_Part], message: dict[str, Any], key: str) -> _Part | None:
        try:
            return None if message.get(key) is None else kind.parse(message[key], key)
        except ContractError as error:
            raise Rejected(str(error)) from None

    def _note_progress(self, document: Any) -> None:
        progress = ProgressReport.salvage(document)
        if progress is not None:
            eta = self._eta.estimate(progress, self._clock())
            self.progress = progress.model_copy(update={"eta_seconds": eta})
