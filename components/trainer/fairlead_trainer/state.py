"""The state of a run, and how requests of agents change it. Times are of the launcher's clock, in seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fairlead_contracts.launcher_status import Phase
from fairlead_contracts.progress import ProgressReport
from fairlead_contracts.termination import Failure, PublishedModel

from .backends.base import Backend, Slot
from .elastic_state import Elastic
from .eta import Eta
from .events import Beat, Delayed, Finished, Left, Registered
from .membership import Bounds, Candidate, MemberId, Membership
from .settings import Timing
from .verdict import Agent, Facts, lost_launcher

_MAX_TEXT = 500
_MAX_STEPS = (1 << 53) - 1
_MAX_FAILURES = 512
"""How many failures are remembered; a run of a fixed size has at most one of each worker."""


class Rejected(Exception):
    """An authentic request that is not valid in this run."""


@dataclass(frozen=True)
class Run:
    """What is fixed for a run: what agents must match, and what its result depends on."""

    workers: int
    """The number of workers at the start."""
    slots: int
    """Processes per worker."""
    attempt: int
    backend: Backend
    timing: Timing
    bounds: Bounds
    """The bounds of the run's size; a run of a fixed size fails with its first worker."""

    @property
    def elastic(self) -> bool:
        """Return whether the run goes on without workers that it loses, and with new ones."""
        return self.bounds.least < self.bounds.most


@dataclass(frozen=True)
class State:
    """A run at one time: from Waiting through Running to Succeeded or Failed."""

    facts: Facts
    phase: Phase = "Waiting"
    membership: Membership | None = None
    slots: Mapping[int, Sequence[Slot]] | None = None
    """Each worker's processes in the current epoch."""
    cause: Failure | None = None
    """Why the run has failed."""
    model: PublishedModel | None = None
    progress: ProgressReport | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The script's parameters, as they were first said."""
    eta: Eta = field(default=Eta())
    delays: Mapping[int, tuple[str, float]] = field(default_factory=dict)
    """What workers do that have not registered and are delayed, and when each one last said so."""
    elastic: Elastic = field(default=Elastic())
    """What only runs of a variable size need."""

    @property
    def ended(self) -> bool:
        """Return whether the run has a result."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def members(self) -> tuple[MemberId, ...]:
        """The members of the current epoch; the first one holds rank 0."""
        return self.membership.members if self.membership else ()

    def agent_of(self, id_: MemberId) -> Agent | None:
        """Return the agent of a member; None if it is lost, or another one has taken the worker's place."""
        agent = self.facts.agents.get(id_.worker)
        return agent if agent is not None and agent.instance == id_.instance else None

    def trains(self, id_: MemberId) -> bool:
        """Return whether a worker is a member of the current epoch."""
        return id_ in self.members

    def is_first(self, id_: MemberId) -> bool:
        """Return whether a worker holds rank 0 in the current epoch."""
        return self.members[:1] == (id_,)

    def is_current(self, epoch: int | None) -> bool:
        """Return whether an epoch is the current one; None is, of processes that go on from one epoch to the next."""
        return epoch is None or (self.membership is not None and self.membership.epoch == epoch)

    def others_finished(self, id_: MemberId) -> bool:
        """Return whether all other members of the current epoch have succeeded."""
        agents = [self.agent_of(other) for other in self.members if other != id_]
        return bool(self.members) and all(agent is not None and agent.succeeded for agent in agents)

    def all_ended(self) -> bool:
        """Return whether the processes of all members of the current epoch have exited with 0."""
        return all((agent := self.agent_of(id_)) is not None and agent.ended for id_ in self.members)


def begin(run: Run, now: float) -> State:
    """Return the state of a run that starts now."""
    return State(Facts(run.workers, started=now))


def add_agent(state: State, event: Registered, now: float) -> State:
    """Add an agent, or note that a known one is alive; raise Rejected for a second agent of a worker."""
    facts, worker = state.facts, event.id.worker
    if worker in facts.agents:
        return with_agent(state, worker, replace(find(state, event.id), seen=now))
    agent = Agent(event.id.instance, event.member, since=now, seen=now)
    first = now if facts.first is None else facts.first
    delays = {other: said for other, said in state.delays.items() if other != worker}
    return replace(state, facts=replace(facts, agents={**facts.agents, worker: agent}, first=first), delays=delays)


def hear(state: State, event: Beat, now: float) -> State:
    """Record a heartbeat."""
    agent = find(state, event.id)
    state = with_parameters(state, event.parameters)
    if not state.is_current(event.epoch):
        return with_agent(state, event.id.worker, replace(agent, seen=now, leaving=event.leaving))
    ended = agent.ended or event.ended
    agent = replace(agent, seen=now, leaving=event.leaving, ended=ended, activity=event.activity)
    return with_progress(with_agent(state, event.id.worker, agent), event.id, event.progress, now)


def delay(state: State, event: Delayed, now: float) -> State:
    """Record what delays a worker that has not registered."""
    return replace(state, delays={**state.delays, event.id.worker: (event.activity, now)})


def hear_left(state: State, event: Left, now: float) -> State:
    """Record that a worker's agent has stopped its processes, and at which port the next ones may meet."""
    agent = find(state, event.id)
    agent = replace(agent, seen=now, ended=False, member=replace(agent.member, port=event.port))
    state = with_agent(state, event.id.worker, agent)
    return with_progress(state, event.id, event.progress, now) if state.is_current(event.epoch) else state


def finish(run: Run, state: State, event: Finished, now: float) -> tuple[State, Failure | None]:
    """Record the end of a worker; return its failure, None if it has succeeded."""
    unknown = event.id.worker not in state.facts.agents
    # a worker may fail before it could register
    agent = None if unknown and event.failure is not None else find(state, event.id)
    succeeded = event.failure is None and event.stopped is None
    if succeeded and event.codes != [0] * run.slots:
        got = str(event.codes)[:_MAX_TEXT]
        raise Rejected(f"exitCodes: got {got}, expected 0 for each of {run.slots} slots")
    if agent is not None:
        agent = replace(agent, seen=now, finished=True, ended=succeeded, succeeded=succeeded)
        state = with_agent(state, event.id.worker, agent)
    state = with_parameters(with_progress(state, event.id, event.progress, now), event.parameters)
    state = replace(state, model=event.model or state.model)
    return state, None if succeeded else event.failure or lost_launcher((event.stopped or "")[:_MAX_TEXT])


def add_failure(state: State, failure: Failure, now: float, *, first: bool = False) -> State:
    """Record a failure, unless the run has failed already; `first`: before the others, of which the last ones count."""
    facts = state.facts
    if state.phase == "Failed":
        return state
    failed = facts.failed if facts.failures else now
    known = facts.failures[-_MAX_FAILURES:]
    failures = (failure, *known) if first else (*known, failure)
    return replace(state, facts=replace(facts, failures=failures, failed=failed))


def with_agent(state: State, worker: int, agent: Agent) -> State:
    """Return the state with an agent as it is now."""
    return replace(state, facts=replace(state.facts, agents={**state.facts.agents, worker: agent}))


def with_parameters(state: State, parameters: Mapping[str, str]) -> State:
    """Return the state with the script's parameters; the first ones stay, as in MLflow."""
    return replace(state, parameters=parameters) if parameters and not state.parameters else state


def with_progress(state: State, id_: MemberId, progress: ProgressReport | None, now: float) -> State:
    """Record the progress that the holder of rank 0 reports, and what each worker says of the steps it repeated."""
    if progress is None:
        return state
    state, again = _note_repeated(state, id_, progress.repeated_steps or 0)
    if not (state.membership is None or state.is_first(id_)):
        return state
    elastic, from_ = state.elastic, progress.step
    if elastic.unreported:
        elastic = replace(elastic, unreported=False)
        from_ = progress.step if progress.resumed_from_step is None else progress.resumed_from_step
    if progress.repeated_steps is None and state.progress:
        again = max(state.progress.step - from_, 0)
    eta = state.eta.record(progress, now)
    estimated = progress.model_copy(update={"eta_seconds": eta.estimate(progress, now)})
    elastic = replace(elastic, lost_steps=min(elastic.lost_steps + again, _MAX_STEPS)) if again else elastic
    return replace(state, eta=eta, progress=estimated, elastic=elastic)


def _note_repeated(state: State, id_: MemberId, repeated: int) -> tuple[State, int]:
    """Note how many steps a worker's process has repeated; return how many more than before.

    All processes of an epoch repeat the same steps, so that only the holder of rank 0 is counted. It may have held
    another rank when it said so last.
    """
    agent = state.agent_of(id_)
    if agent is None or agent.repeated == repeated:
        return state, 0
    return with_agent(state, id_.worker, replace(agent, repeated=repeated)), max(repeated - agent.repeated, 0)


def find(state: State, id_: MemberId) -> Agent:
    """Return the agent of a member; raise Rejected if the worker has another one, or none."""
    agent = state.agent_of(id_)
    if agent is None:
        known = "another agent" if id_.worker in state.facts.agents else "no agent"
        raise Rejected(f"worker {id_.worker} is registered by {known}")
    return agent


def list_candidates(state: State) -> tuple[Candidate, ...]:
    """Return the workers that have not ended."""
    return tuple(
        # a pod that is created again has another address, and the node is not known here
        Candidate(MemberId(worker, agent.instance), agent.since, f"worker-{worker}", agent.leaving)
        for worker, agent in state.facts.agents.items()
        if not agent.finished
    )
