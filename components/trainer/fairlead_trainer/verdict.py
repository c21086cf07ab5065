"""Judgement of a run: which failure is the cause, and whether the run has succeeded. Pure: the time is an argument."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fairlead_contracts.termination import Failure

from .backends.base import Backend, Member
from .settings import Timing

_BACKLOG = 5.0
"""Seconds in which requests that arrived during a pause are read, although their senders may be gone."""


@dataclass(frozen=True)
class Agent:
    """A registered worker, as the launcher knows it."""

    instance: str
    member: Member
    since: float
    """When it registered."""
    seen: float
    """When its last request arrived."""
    finished: bool = False
    """Whether it has reported its end."""
    ended: bool = False
    """Whether all of its processes exited with 0; it may still publish the model."""
    succeeded: bool = False
    """Whether it has reported that."""
    leaving: bool = False
    """Whether it will be stopped soon."""
    repeated: int = 0
    """How many steps its first process has done again, as it last said."""
    activity: str | None = None
    """What it does beside its training that takes long or fails."""


@dataclass(frozen=True)
class Facts:
    """What the launcher knows of a run; times are of its monotonic clock, in seconds."""

    workers: int
    started: float
    agents: Mapping[int, Agent] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    failed: float = 0.0
    """When the first failure was reported."""
    first: float | None = None
    """When the first worker registered."""
    resumed: float = 0.0
    """When the launcher last continued after a pause, in which it could hear nobody."""

    def missing(self) -> list[int]:
        """Return the workers that have not registered."""
        return [worker for worker in range(self.workers) if worker not in self.agents]

    def silence(self, agent: Agent, now: float) -> float:
        """Return for how long an agent has been silent while the launcher could hear it."""
        return now - max(agent.seen, self.resumed)

    def count_active(self, limit: float, now: float) -> int:
        """Return how many agents have not finished and have not been silent for longer than a limit."""
        return sum(not agent.finished and self.silence(agent, now) <= limit for agent in self.agents.values())


def find_cause(facts: Facts, backend: Backend, timing: Timing, now: float) -> Failure | None:
    """Return why the run has failed; None while it has not, or while a better explanation may still be reported."""
    own = next((known for known in facts.failures if not is_consequence(known, backend)), None)
    if own is not None:
        return own
    silence = timing.silence_after_failure if facts.failures else timing.silence
    if lost := _find_lost(facts, silence, now):
        return lost
    if facts.failures:
        others_left = any(not agent.finished for agent in facts.agents.values())
        # One second longer than the silence limit, so that a lost peer is reported before those that noticed it.
        return facts.failures[0] if not others_left or now - facts.failed > silence + 1 else None
    return _find_unregistered(facts, timing, now)


def find_root(failures: Sequence[Failure], backend: Backend) -> Failure:
    """Return the last failure that is not the consequence of another one; the last one if all are."""
    own = [failure for failure in failures if not is_consequence(failure, backend)]
    return (own or list(failures))[-1]


def has_succeeded(facts: Facts) -> bool:
    """Return whether every worker has reported that all of its processes exited with 0."""
    return len(facts.agents) == facts.workers and all(agent.succeeded for agent in facts.agents.values())


def lost_launcher(text: str) -> Failure:
    """Return the failure of a run whose workers could not reach the launcher: no worker is to blame."""
    return Failure(worker=None, reason="LostLauncher", log_tail=text)


def is_consequence(failure: Failure, backend: Backend) -> bool:
    """Return whether a worker failed because of another one, or of the launcher."""
    return failure.reason == "LostLauncher" or backend.is_consequence(failure.log_tail)


def _find_lost(facts: Facts, limit: float, now: float) -> Failure | None:
    for worker, agent in sorted(facts.agents.items()):
        if agent.finished or facts.silence(agent, now) <= limit:
            continue
        if facts.resumed and agent.seen < facts.resumed + _BACKLOG:
            text = f"worker {worker} has sent no heartbeat since the launcher continued after a pause"
            return lost_launcher(text)
        text = f"worker {worker} has sent no heartbeat for {now - agent.seen:.0f} s"
        return Failure(worker=worker, reason="LostWorker", log_tail=text)
    return None


def _find_unregistered(facts: Facts, timing: Timing, now: float) -> Failure | None:
    missing = facts.missing()
    if not missing or facts.first is None or now - max(facts.first, facts.resumed) <= timing.registration:
        return None
    others = f" (nor did {len(missing) - 1} others)" if len(missing) > 1 else ""
    text = f"worker {missing[0]} did not register within {timing.registration:g} s of the first worker{others}"
    return Failure(worker=missing[0], reason="NotRegistered", log_tail=text)
