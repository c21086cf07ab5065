"""Workers whose processes start before their epoch: those of frameworks that keep them from one epoch to the next.

They start when their agent has registered, import what the script needs, and wait at the backend's rendezvous. Only
then may their worker be part of an epoch, so that the processes of an epoch connect at once: a worker that is lost
meanwhile could fail the others.
"""

from dataclasses import replace

from .backends.base import Member
from .elastic_state import Elastic
from .events import Arrived, Gone, Order, Prepare, Prepared
from .membership import Candidate, MemberId
from .state import Run, State, list_candidates, with_agent


def prepare(run: Run, state: State) -> tuple[State, tuple[Order, ...]]:
    """Let the processes of the workers start that have registered."""
    if run.backend.restarts:
        return state, ()
    known = state.elastic.prepared
    agents = {MemberId(worker, agent.instance): agent for worker, agent in state.facts.agents.items()}
    new = {id_: agent for id_, agent in agents.items() if id_ not in known and not agent.finished}
    if not new:
        return state, ()
    state = replace(state, elastic=replace(state.elastic, prepared={**known, **dict.fromkeys(new, ())}))
    return state, tuple(Prepare(agent.member) for agent in new.values())


def note_prepared(state: State, event: Prepared) -> State:
    """Note how the processes of a worker start, unless it has been lost."""
    if event.id not in state.elastic.prepared:
        return state
    return replace(state, elastic=replace(state.elastic, prepared={**state.elastic.prepared, event.id: event.slots}))


def note_ready(state: State, event: Arrived, now: float) -> State:
    """Note that the processes of a worker outside the current epoch wait for the next one."""
    elastic, agent = state.elastic, state.agent_of(event.id)
    if not event.complete or agent is None or agent.finished:
        return state
    late = {id_: since for id_, since in elastic.late.items() if id_ != event.id}
    ready, starts = {**elastic.ready, event.id: now}, elastic.failed_starts - {event.id.worker}
    return replace(state, elastic=replace(elastic, late=late, ready=ready, failed_starts=starts))


def note_gone(state: State, event: Gone, now: float) -> State:
    """Note that a process does not wait any more; what became of it, its agent says, or its silence."""
    agent = state.agent_of(event.id)
    if agent is not None and event.id in state.elastic.ready:
        # it has as long to ask again as a new one, and its agent to report
        state = with_agent(state, event.id.worker, replace(agent, since=now))
    elastic = state.elastic
    ready = {id_: since for id_, since in elastic.ready.items() if id_ != event.id}
    waiting, arrived = elastic.waiting - {event.id}, elastic.arrived - {event.id}
    gone = elastic.gone | {event.id} if state.trains(event.id) else elastic.gone
    return replace(state, elastic=replace(elastic, ready=ready, waiting=waiting, arrived=arrived, gone=gone))


def forget(elastic: Elastic, id_: MemberId) -> Elastic:
    """Return the state without what is known of the processes of a worker that is lost."""
    ready = {known: since for known, since in elastic.ready.items() if known != id_}
    prepared = {known: slots for known, slots in elastic.prepared.items() if known != id_}
    return replace(elastic, ready=ready, prepared=prepared, gone=elastic.gone - {id_})


def list_available(run: Run, state: State) -> tuple[Candidate, ...]:
    """Return the workers that may be part of the next epoch: those that train, and those that wait for it."""
    candidates, ready = list_candidates(state), state.elastic.ready
    if run.backend.restarts:
        return candidates
    return tuple(
        replace(candidate, since=ready.get(candidate.id, candidate.since))
        for candidate in candidates
        if candidate.id in ready or state.trains(candidate.id)
    )


def list_unready(run: Run, state: State) -> tuple[MemberId, ...]:
    """Return the workers whose processes have not asked for a place yet."""
    if run.backend.restarts:
        return ()
    elastic = state.elastic
    ids = (candidate.id for candidate in list_candidates(state) if not candidate.leaving)
    return tuple(id_ for id_ in ids if not (state.trains(id_) or id_ in elastic.ready or id_ in elastic.late))


def list_held(state: State) -> tuple[Member, ...]:
    """Return the workers outside the current epoch whose processes may be part of a later one."""
    agents = sorted(state.facts.agents.items())
    return tuple(
        agent.member
        for worker, agent in agents
        if not (agent.finished or agent.leaving or state.trains(MemberId(worker, agent.instance)))
    )


def find_settle(run: Run, state: State, left: bool) -> float:
    """Return how long further workers are waited for, in seconds."""
    if left:
        return 0.0  # the processes have left their epoch, and wait
    if state.membership is None and list_unready(run, state):
        return max(run.bounds.settle, run.timing.leave)  # the others import what the script needs
    return run.bounds.settle


def find_patience(run: Run, state: State) -> float:
    """Return how long too few workers are waited for, in seconds; one may have registered at the last moment."""
    starting = state.membership is None and list_unready(run, state)
    return run.bounds.patience + (run.timing.leave if starting else 0.0)
