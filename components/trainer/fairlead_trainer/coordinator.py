"""The state of a run in the launcher: registered, live and finished workers, and the result.

It does no I/O: requests are dictionaries and the clock is an argument. The server and the launcher's loop share it.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from fairlead_contracts.errors import ContractError
from fairlead_contracts.launcher_status import LauncherStatus, Phase, ReadyWorkers
from fairlead_contracts.progress import ProgressReport
from fairlead_contracts.termination import Failure, PublishedModel

from .backends.base import Backend, Member, Slot
from .progress import Eta
from .settings import Timing

SILENCE_AFTER_FAILURE = 5.0
"""Seconds without a heartbeat after which a worker counts as lost once a peer has failed, when a loss is likely."""


_Part = TypeVar("_Part", Failure, PublishedModel)


class Rejected(Exception):
    """An authentic request that is not valid in this run."""


@dataclass(frozen=True)
class Run:
    """The workers, slots and attempt that agents must match."""

    workers: int
    slots: int
    attempt: int


@dataclass
class _Agent:
    instance: str
    member: Member
    seen: float
    finished: bool = False


class Coordinator:
    """Track one run from Waiting through Running to Succeeded or Failed."""

    def __init__(self, run: Run, backend: Backend, timing: Timing, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._backend = backend
        self._timing = timing
        self._clock = clock
        self._agents: dict[int, _Agent] = {}
        self._slots: dict[int, list[Slot]] | None = None
        self._failures: list[Failure] = []
        self._failed_at = 0.0
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
            if worker not in self._agents:
                member = Member(worker, str(message["address"]), str(message["interface"]), self._run.slots)
                self._agents[worker] = _Agent(str(message["instance"]), member, self._clock())
                self._changed.notify_all()
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
            others = (other for other in self._agents.values() if other is not agent)
            others_finished = len(self._agents) == self._run.workers and all(other.finished for other in others)
            return {"state": self._state(), "othersFinished": others_finished}

    def finish(self, message: dict[str, Any]) -> dict[str, Any]:
        """Record that a worker has finished; for a failed one, return whether its failure is the cause."""
        with self._changed:
            failure, model = self._parse(Failure, message, "failure"), self._parse(PublishedModel, message, "model")
            if message.get("worker") in self._agents or failure is None:
                agent = self._find(message)
                agent.seen, agent.finished = self._clock(), True
            else:
                self._check_worker(message)  # It failed before it could register.
            self._note_progress(message.get("progress"))
            self.model = model or self.model
            if failure is None or self.phase == "Failed":
                self._changed.notify_all()
                return {"state": self._state(), "cause": self._is_cause(failure)}
            if not self._failures:
                self._failed_at = self._clock()
            self._failures.append(failure)
            self._changed.notify_all()
            # The root cause may not have been reported yet: peers often notice before the failed process has exited.
            self._changed.wait_for(lambda: self.phase == "Failed", timeout=2 * SILENCE_AFTER_FAILURE)
            return {"state": self._state(), "cause": self._is_cause(failure)}

    # Calls from the launcher.

    def wait(self, seconds: float) -> None:
        """Wait for a change, for at most `seconds`."""
        with self._changed:
            self._changed.wait(seconds)

    def members(self) -> list[Member] | None:
        """Return all members in order, or None until all have registered."""
        with self._changed:
            if len(self._agents) < self._run.workers:
                return None
            return [self._agents[worker].member for worker in range(self._run.workers)]

    def missing(self) -> list[int]:
        """Return the workers that have not registered."""
        with self._changed:
            return [worker for worker in range(self._run.workers) if worker not in self._agents]

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
            self.cause = self._find_cause(self._clock())
            if self.cause is not None:
                self.phase = "Failed"
            elif self.phase == "Running" and all(agent.finished for agent in self._agents.values()):
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
            return not self._active(self._clock())

    def status(self) -> dict[str, Any]:
        """Return the status that the operator reads."""
        with self._changed:
            finished = sum(agent.finished for agent in self._agents.values())
            ready = finished + len(self._active(self._clock()))
            workers = ReadyWorkers(ready=ready, desired=self._run.workers)
            return LauncherStatus(phase=self.phase, workers=workers, progress=self.progress).to_json()

    def _find_cause(self, now: float) -> Failure | None:
        own = next((known for known in self._failures if not self._backend.is_consequence(known.log_tail)), None)
        if own is not None:
            return own
        silence = min(SILENCE_AFTER_FAILURE, self._timing.silence) if self._failures else self._timing.silence
        for worker, agent in sorted(self._agents.items()):
            if not agent.finished and now - agent.seen > silence:
                text = f"worker {worker} has sent no heartbeat for {now - agent.seen:.0f} s"
                return Failure(worker=worker, reason="LostWorker", log_tail=text)
        if self._failures:
            others_left = any(not agent.finished for agent in self._agents.values())
            # One second longer than the silence limit, so that a lost peer is reported before those that noticed it.
            if not others_left or now - self._failed_at > silence + 1:
                return self._failures[0]
        return None

    def _is_cause(self, failure: Failure | None) -> bool:
        return failure is not None and self.cause is not None and self.cause.worker == failure.worker

    def _active(self, now: float) -> list[_Agent]:
        agents = self._agents.values()
        return [agent for agent in agents if not agent.finished and now - agent.seen <= self._timing.silence]

    def _state(self) -> str:
        return {"Waiting": "wait", "Running": "run", "Succeeded": "run", "Failed": "stop"}[self.phase]

    def _check_worker(self, message: dict[str, Any]) -> int:
        worker = message.get("worker")
        if type(worker) is not int or not 0 <= worker < self._run.workers:
            raise Rejected(f"worker: got {worker!r}, expected 0 to {self._run.workers - 1}")
        if message.get("attempt") != self._run.attempt:
            raise Rejected(f"attempt: got {message.get('attempt')!r}, expected {self._run.attempt}")
        return worker

    def _find(self, message: dict[str, Any]) -> _Agent:
        agent = self._agents.get(self._check_worker(message))
        if agent is None or agent.instance != message.get("instance"):
            known = "another agent" if agent else "no agent"
            raise Rejected(f"worker {message['worker']} is registered by {known}")
        return agent

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
