"""Workers of an elastic run that are lost: how they are noticed, and what it means for the run."""

from dataclasses import replace

from fairlead_contracts.termination import Failure

from .membership import MemberId
from .readiness import forget, list_unready
from .state import Run, State, add_failure
from .verdict import Agent, is_consequence


def find_alive(state: State) -> dict[MemberId, Agent]:
    """Return the members of the current epoch that are not lost."""
    return {id_: agent for id_ in state.members if (agent := state.agent_of(id_)) is not None}


def is_recalled(run: Run, state: State) -> bool:
    """Return whether agents must stop the processes of the current epoch, which they start anew for the next one."""
    elastic = state.elastic
    return run.backend.restarts and (elastic.recalled_since is not None or elastic.lost_since is not None)


def fail(run: Run, state: State, worker: int, failure: Failure, now: float) -> State:
    """Remove a worker that has failed; its host is left out for a while if it is to blame."""
    agent = state.facts.agents.get(worker)
    stopped = agent is not None and agent.leaving
    if not stopped and not is_consequence(failure, run.backend) and failure.reason != "LostWorker":
        failed = {**state.elastic.failed, f"worker-{worker}": now}
        state = replace(state, elastic=replace(state.elastic, failed=failed))
    return _remove(state, worker, failure, now)


def lose(state: State, worker: int, text: str, now: float) -> State:
    """Remove a worker that is gone without a word."""
    return _remove(state, worker, describe_loss(worker, text), now)


def describe_loss(worker: int, text: str) -> Failure:
    """Return the failure of a worker that has not reported one."""
    return Failure(worker=worker, reason="LostWorker", log_tail=f"worker {worker} {text}")


def lose_silent(run: Run, state: State, now: float) -> State:
    """Lose the workers that have been silent for too long; for a shorter time if a loss is likely."""
    limit = run.timing.silence_after_failure if _is_loss_likely(state) else run.timing.silence
    for worker, agent in sorted(state.facts.agents.items()):
        if not agent.finished and state.facts.silence(agent, now) > limit:
            state = lose(state, worker, f"has sent no heartbeat for {now - agent.seen:.0f} s", now)
    return state


def _is_loss_likely(state: State) -> bool:
    """Return whether a worker of the current epoch was lost, or processes have left it without being asked to."""
    elastic = state.elastic
    told = elastic.announced is not None or elastic.recalled_since is not None
    surprised = elastic.left_since is not None and not told
    return bool(elastic.broken or elastic.gone) or elastic.lost_since is not None or surprised


def lose_hanging(run: Run, state: State, now: float) -> State:
    """Lose the members that still have not left an epoch that another one has left, or that has lost a member.

    While none has left, they wait for each other in the framework: one at a time is lost, so that the others notice.
    The last one may hold the only state, and has the time of the framework's own limit. Agents that must stop the
    processes do so in time, which includes the grace period of these, or are lost.
    """
    elastic, alive = state.elastic, list(find_alive(state))
    since = elastic.lost_since if elastic.left_since is None else elastic.left_since
    if run.backend.restarts:
        since = elastic.lost_since if elastic.recalled_since is None else elastic.recalled_since
    if since is None or not alive:
        return state
    late, limit = [id_ for id_ in alive if id_ not in elastic.arrived], run.timing.leave
    if run.backend.restarts:
        limit += run.timing.stop_grace  # which the processes may use up
    elif elastic.left_since is None:
        late = alive[-1:]
        limit += run.backend.notice_seconds if len(alive) == 1 else 0
    if now - max(since, state.facts.resumed) <= limit:
        return state
    for id_ in late:
        failure = describe_loss(id_.worker, f"did not leave its epoch within {limit:g} s")
        state = _remove(state, id_.worker, failure, now, follows=True)
    return state


def lose_late(run: Run, state: State, now: float) -> State:
    """Lose the workers whose processes still hang in an earlier epoch after the framework's own limit."""
    limit = run.timing.leave + run.backend.notice_seconds
    for id_, since in state.elastic.late.items():
        if now - max(since, state.facts.resumed) > limit:
            failure = describe_loss(id_.worker, f"did not leave an earlier epoch within {limit:g} s")
            state = _remove(state, id_.worker, failure, now, follows=True)
    return state


def lose_unready(run: Run, state: State, now: float) -> State:
    """Lose the workers whose processes have not asked for a place for as long as registration may take."""
    limit = run.timing.registration
    for id_ in list_unready(run, state):
        if now - max(state.facts.agents[id_.worker].since, state.facts.resumed) > limit:
            state = lose(state, id_.worker, f"did not initialize {run.backend.module} within {limit:g} s", now)
    return state


def _remove(state: State, worker: int, failure: Failure, now: float, *, follows: bool = False) -> State:
    """Remove a worker's agent; what becomes of one that does not train is no failure of the run.

    `follows` is whether the failure follows from those before, which explain more.
    """
    agent = state.facts.agents.get(worker)
    trained = agent is not None and state.trains(MemberId(worker, agent.instance))
    late = agent is not None and MemberId(worker, agent.instance) in state.elastic.late
    if trained or late or state.membership is None:
        state = add_failure(state, failure, now, first=follows)
    if agent is None:
        return state
    if state.membership is None and failure.reason != "LostWorker":
        starts = state.elastic.failed_starts | {worker}
        state = replace(state, elastic=replace(state.elastic, failed_starts=starts))
    left = {index: other for index, other in state.facts.agents.items() if index != worker}
    elastic, id_ = state.elastic, MemberId(worker, agent.instance)
    others = {known: since for known, since in elastic.late.items() if known != id_}
    lost = elastic.lost_workers + (trained or late)
    elastic = forget(replace(elastic, late=others, lost_workers=lost), id_)
    if trained:
        elastic = replace(
            elastic,
            waiting=elastic.waiting - {id_},
            arrived=elastic.arrived - {id_},
            broken=tuple(known for known in elastic.broken if known.id != id_),
            lost_since=now,
        )
    return replace(state, facts=replace(state.facts, agents=left), elastic=elastic)
