"""A run of a job as a state machine: `step` takes the state and an event to the next state and to orders.

Pure: it knows no lock, clock or connection. Times are of the launcher's monotonic clock, in seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fairlead_contracts.launcher_status import Phase
from fairlead_contracts.progress import ProgressReport
from fairlead_contracts.termination import Failure, PublishedModel

from .backends.base import Backend, Member, Slot
from .eta import Eta
from .membership import Bounds, Candidate, MemberId, Membership, Observed, plan_membership
from .settings import Timing
from .verdict import Agent, Facts, find_cause, has_succeeded, lost_launcher

_MAX_TEXT = 500


class Rejected(Exception):
    """An authentic request that is not valid in this run."""


@dataclass(frozen=True)
class Run:
    """What is fixed for a run: what agents must match, and what its result depends on."""

    workers: int
    slots: int
    """Processes per worker."""
    attempt: int
    backend: Backend
    timing: Timing

    @property
    def bounds(self) -> Bounds:
        """Return the bounds of the run's size."""
        return Bounds.fixed(self.workers)


@dataclass(frozen=True)
class State:
    """A run at one time: from Waiting through Running to Succeeded or Failed."""

    facts: Facts
    unfinished: int
    """The number of workers that have not reported their end."""
    phase: Phase = "Waiting"
    membership: Membership | None = None
    slots: Mapping[int, Sequence[Slot]] | None = None
    """Each worker's processes in the current epoch."""
    cause: Failure | None = None
    """Why the run has failed."""
    model: PublishedModel | None = None
    progress: ProgressReport | None = None
    eta: Eta = field(default=Eta())

    @property
    def ended(self) -> bool:
        """Return whether the run has a result."""
        return self.phase in ("Succeeded", "Failed")


@dataclass(frozen=True)
class Registered:
    """An agent has registered its worker, perhaps again."""

    id: MemberId
    member: Member


@dataclass(frozen=True)
class Beat:
    """An agent has sent a heartbeat."""

    id: MemberId
    progress: ProgressReport | None = None


@dataclass(frozen=True)
class Finished:
    """An agent has reported its worker's end: success, a failure, or why it stopped."""

    id: MemberId
    codes: Sequence[object] | None = None
    """The exit codes of the worker's processes."""
    failure: Failure | None = None
    stopped: str | None = None
    """Why the agent stopped without a failure of its own."""
    model: PublishedModel | None = None
    progress: ProgressReport | None = None


@dataclass(frozen=True)
class Assigned:
    """The backend has assigned the processes of a membership."""

    membership: Membership
    slots: Mapping[int, Sequence[Slot]]


@dataclass(frozen=True)
class Resumed:
    """The launcher goes on after a pause in which it could hear nobody, such as by SIGSTOP."""


@dataclass(frozen=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True)
class Closed:
    """The launcher stops."""


Event = Registered | Beat | Finished | Assigned | Resumed | Tick | Closed


@dataclass(frozen=True)
class Assign:
    """Let the backend assign ranks to the members of a new epoch, and answer with `Assigned`."""

    membership: Membership
    members: tuple[Member, ...]


Order = Assign


def begin(run: Run, now: float) -> State:
    """Return the state of a run that starts now."""
    return State(Facts(run.workers, started=now), unfinished=run.workers)


def step(run: Run, state: State, event: Event, now: float) -> tuple[State, tuple[Order, ...]]:
    """Return the state after an event, and what the launcher must do; raise Rejected if the event is not valid."""
    match event:
        case Beat():
            # the most frequent event by far; silence is noticed by ticks
            return _hear(state, event, now), ()
        case Registered() if event.id.worker in state.facts.agents:
            # one that waits for the others registers again and again
            return _with_agent(state, event.id.worker, replace(_find(state, event.id), seen=now)), ()
        case Registered():
            state = _register(state, event, now)
        case Finished():
            state = _finish(run, state, event, now)
        case Assigned():
            current = not state.ended and event.membership == state.membership
            state = replace(state, slots=event.slots, phase="Running") if current else state
        case Resumed():
            state = replace(state, facts=replace(state.facts, resumed=now))
        case Closed():
            return replace(state, phase=state.phase if state.ended else "Failed"), ()
        case Tick():
            pass
    state = _judge(run, state, now)
    # a run of a fixed size has one membership
    return (state, ()) if state.ended or state.membership else _order(run, state, now)


def _register(state: State, event: Registered, now: float) -> State:
    first = now if state.facts.first is None else state.facts.first
    state = replace(state, facts=replace(state.facts, first=first))
    return _with_agent(state, event.id.worker, Agent(event.id.instance, event.member, since=now, seen=now))


def _hear(state: State, event: Beat, now: float) -> State:
    state = _with_agent(state, event.id.worker, replace(_find(state, event.id), seen=now))
    return _with_progress(state, event.progress, now)


def _finish(run: Run, state: State, event: Finished, now: float) -> State:
    unknown = event.id.worker not in state.facts.agents
    # a worker may fail before it could register
    agent = None if unknown and event.failure is not None else _find(state, event.id)
    succeeded = event.failure is None and event.stopped is None
    if succeeded and event.codes != [0] * run.slots:
        got = str(event.codes)[:_MAX_TEXT]
        raise Rejected(f"exitCodes: got {got}, expected 0 for each of {run.slots} slots")
    if agent is not None:
        state = replace(state, unfinished=state.unfinished - (not agent.finished))
        state = _with_agent(state, event.id.worker, replace(agent, seen=now, finished=True, succeeded=succeeded))
    state = replace(_with_progress(state, event.progress, now), model=event.model or state.model)
    if succeeded or state.phase == "Failed":
        return state
    failure = event.failure or lost_launcher((event.stopped or "")[:_MAX_TEXT])
    facts = state.facts
    failed = facts.failed if facts.failures else now
    return replace(state, facts=replace(facts, failures=(*facts.failures, failure), failed=failed))


def _judge(run: Run, state: State, now: float) -> State:
    """Determine the result of the run if possible."""
    if state.ended:
        return state
    cause = find_cause(state.facts, run.backend, run.timing, now)
    if cause is not None:
        return replace(state, phase="Failed", cause=cause)
    if state.phase == "Running" and has_succeeded(state.facts):
        return replace(state, phase="Succeeded")
    return state


def _order(run: Run, state: State, now: float) -> tuple[State, tuple[Order, ...]]:
    """Begin the epoch once its members are there."""
    facts = state.facts
    candidates = tuple(
        Candidate(MemberId(worker, agent.instance), agent.since, host=agent.member.address)
        for worker, agent in facts.agents.items()
        if not agent.finished
    )
    decision = plan_membership(run.bounds, state.membership, Observed(candidates, run.workers), now)
    membership = decision.membership
    if membership is None:
        return state, ()
    members = tuple(facts.agents[member.worker].member for member in membership.members)
    return replace(state, membership=membership), (Assign(membership, members),)


def _with_agent(state: State, worker: int, agent: Agent) -> State:
    return replace(state, facts=replace(state.facts, agents={**state.facts.agents, worker: agent}))


def _with_progress(state: State, progress: ProgressReport | None, now: float) -> State:
    if progress is None:
        return state
    eta = state.eta.record(progress, now)
    estimated = progress.model_copy(update={"eta_seconds": eta.estimate(progress, now)})
    return replace(state, eta=eta, progress=estimated)


def _find(state: State, id_: MemberId) -> Agent:
    agent = state.facts.agents.get(id_.worker)
    if agent is None or agent.instance != id_.instance:
        known = "another agent" if agent else "no agent"
        raise Rejected(f"worker {id_.worker} is registered by {known}")
    return agent
