"""The rules of a run of a variable size: it goes on without the workers that it loses, and with new ones.

An epoch ends when its processes have left it: after a loss on their own, because the framework fails; for a worker that
comes or leaves after their next commit, because they are told. The next one begins with the workers that are there.
Every wait has a limit: a member that does not leave in time counts as lost, and the run fails if nobody is left who has
the state.
"""

from dataclasses import replace

from fairlead_contracts.launcher_status import ResizeReason
from fairlead_contracts.termination import Failure

from .events import Announce, Arrived, Assign, Order, Registered
from .membership import Decision, MemberId, Membership, Observed, plan_membership
from .state import Announcement, Run, State, add_agent, add_failure, list_candidates
from .verdict import Agent, find_root, is_consequence, lost_launcher

_TELL_AGAIN_SECONDS = 1.0
"""How often processes are told of the next epoch: they may not listen yet."""


def register(run: Run, state: State, event: Registered, now: float) -> State:  # noqa: ARG001
    """Add an agent; a second agent of a worker means that the first one is gone."""
    known = state.facts.agents.get(event.id.worker)
    # what has succeeded is part of the result
    done = known is not None and known.finished and MemberId(event.id.worker, known.instance) in _members(state)
    if known is not None and known.instance != event.id.instance and not done:
        state = _lose(state, event.id.worker, "was started again", now)
    return add_agent(state, event, now)


def arrive(state: State, event: Arrived, now: float) -> State:
    """Note that a process of a member has left the current epoch."""
    current = state.membership is not None and event.epoch == state.membership.epoch
    if not current or event.id not in _members(state) or _find(state, event.id) is None:
        return state  # it has left an earlier epoch, or counts as lost
    elastic = state.elastic
    changed = replace(
        elastic,
        waiting=elastic.waiting | {event.id},
        arrived=elastic.arrived | {event.id} if event.complete else elastic.arrived,
        left_since=now if elastic.left_since is None else elastic.left_since,
    )
    return replace(state, elastic=changed)


def fail(run: Run, state: State, worker: int, failure: Failure, now: float) -> State:
    """Remove a worker that has failed; its host is left out for a while if it is to blame."""
    agent = state.facts.agents.get(worker)
    stopped = agent is not None and agent.leaving
    if not stopped and not is_consequence(failure, run.backend) and failure.reason != "LostWorker":
        failed = {**state.elastic.failed, f"worker-{worker}": now}
        state = replace(state, elastic=replace(state.elastic, failed=failed))
    return _remove(state, worker, failure, now)


def advance(run: Run, state: State, now: float) -> tuple[State, tuple[Order, ...]]:
    """Determine the result of the run if possible; begin or announce the next epoch."""
    state = _lose_hanging(run, _lose_silent(run, state, now), now)
    alive = _alive(state)
    if state.membership is not None:
        state = _judge(run, state, alive)
        if state.ended or any(agent.ended for agent in alive.values()):
            return state, ()
    left = bool(alive) and state.elastic.arrived.issuperset(alive)
    decision = _decide(run, state, left, now)
    since = state.elastic.short_since if state.elastic.short_since is not None else now
    state = replace(state, elastic=replace(state.elastic, short_since=since if decision.short else None))
    if decision.hopeless:
        return _fail_run(run, state), ()
    if decision.short or decision.membership is None:
        return state, ()
    if alive and not set(alive) & set(decision.membership.members):
        # all who have the state are to be stopped: they train as long as they can
        return (_fail_run(run, state) if left else state), ()
    if state.membership is None or left:
        return _begin(state, decision.membership)
    return _announce(state, decision.membership, now)


def _judge(run: Run, state: State, alive: dict[MemberId, Agent]) -> State:
    """Determine the result: the run succeeds with all members of its last epoch, or not at all."""
    if not alive:
        return _fail_run(run, state)  # nobody has the state any more
    if not any(agent.ended for agent in alive.values()):
        return state
    if len(alive) < len(_members(state)):
        return _fail_run(run, state)
    if late := min(state.elastic.waiting, default=None):
        return _fail_run(run, state, _lost(late.worker, "left its epoch after another worker had finished"))
    return replace(state, phase="Succeeded") if all(agent.succeeded for agent in alive.values()) else state


def _decide(run: Run, state: State, left: bool, now: float) -> Decision:
    # processes that have left their epoch wait: newcomers are not waited for
    bounds = replace(run.bounds, settle=0) if left else run.bounds
    wanted = run.workers if state.membership is None else run.bounds.most
    observed = Observed(list_candidates(state), wanted, state.elastic.failed, _short_since(state))
    return plan_membership(bounds, state.membership, observed, now)


def _short_since(state: State) -> float | None:
    """Return since when too few workers have been there; at the start, since the first one registered or failed."""
    facts = state.facts
    if state.membership is not None:
        return state.elastic.short_since
    return facts.failed if facts.first is None and facts.failures else facts.first


def _begin(state: State, membership: Membership) -> tuple[State, tuple[Order, ...]]:
    """Begin the next epoch; of the same workers if they have left the last one for another reason."""
    if state.membership is not None and membership.members == state.membership.members:
        membership = Membership(state.membership.epoch + 1, membership.members)
    members = tuple(state.facts.agents[member.worker].member for member in membership.members)
    elastic = replace(
        state.elastic,
        waiting=frozenset(),
        arrived=frozenset(),
        left_since=None,
        lost_since=None,
        announced=None,
        reason=_explain(state, membership),
    )
    return replace(state, membership=membership, slots=None, elastic=elastic), (Assign(membership, members),)


def _explain(state: State, following: Membership) -> ResizeReason | None:
    before, after = set(_members(state)), set(following.members)
    if state.membership is None:
        return None
    if any(_find(state, member) is None for member in before):
        return "WorkersLost"
    if before - after:
        return "WorkersLeft"
    return "WorkersJoined" if after - before else "Restarted"


def _announce(state: State, membership: Membership, now: float) -> tuple[State, tuple[Order, ...]]:
    """Tell the processes of a change. A loss they notice themselves, and they cannot be told while they hang."""
    current = _members(state)
    if set(current) == set(membership.members) or any(_find(state, member) is None for member in current):
        return state, ()
    known = state.elastic.announced
    again = known is not None and known.members == membership.members
    if known is not None and again and now - known.told < _TELL_AGAIN_SECONDS:
        return state, ()
    announced = Announcement(membership.members, known.since if known is not None and again else now, now)
    members = tuple(state.facts.agents[member.worker].member for member in current)
    order = Announce(members, announced.since, again)
    return replace(state, elastic=replace(state.elastic, announced=announced)), (order,)


def _lose_silent(run: Run, state: State, now: float) -> State:
    for worker, agent in sorted(state.facts.agents.items()):
        if not agent.finished and state.facts.silence(agent, now) > run.timing.silence:
            state = _lose(state, worker, f"has sent no heartbeat for {now - agent.seen:.0f} s", now)
    return state


def _lose_hanging(run: Run, state: State, now: float) -> State:
    """Lose the members that still have not left an epoch that another one has left, or that has lost a member.

    While none has left, they wait for each other in the framework: one at a time is lost, so that the others notice.
    The last one may hold the only state, and has the time of the framework's own limit.
    """
    elastic, alive = state.elastic, list(_alive(state))
    since = elastic.lost_since if elastic.left_since is None else elastic.left_since
    if since is None or not alive:
        return state
    late, limit = [id_ for id_ in alive if id_ not in elastic.arrived], run.timing.leave
    if elastic.left_since is None:
        late = alive[-1:]
        limit += run.backend.notice_seconds if len(alive) == 1 else 0
    if now - max(since, state.facts.resumed) <= limit:
        return state
    for id_ in late:
        failure = _lost(id_.worker, f"did not leave its epoch within {limit:g} s")
        state = _remove(state, id_.worker, failure, now, follows=True)
    return state


def _lose(state: State, worker: int, text: str, now: float) -> State:
    return _remove(state, worker, _lost(worker, text), now)


def _lost(worker: int, text: str) -> Failure:
    return Failure(worker=worker, reason="LostWorker", log_tail=f"worker {worker} {text}")


def _remove(state: State, worker: int, failure: Failure, now: float, *, follows: bool = False) -> State:
    """Remove a worker's agent; what becomes of one that does not train is no failure of the run.

    `follows` is whether the failure follows from those before, which explain more.
    """
    agent = state.facts.agents.get(worker)
    trained = agent is not None and MemberId(worker, agent.instance) in _members(state)
    if trained or state.membership is None:
        state = add_failure(state, failure, now, first=follows)
    if agent is None:
        return state
    left = {index: other for index, other in state.facts.agents.items() if index != worker}
    elastic, id_ = state.elastic, MemberId(worker, agent.instance)
    if trained:
        elastic = replace(
            elastic,
            waiting=elastic.waiting - {id_},
            arrived=elastic.arrived - {id_},
            lost_workers=elastic.lost_workers + 1,
            lost_since=now,
        )
    return replace(state, facts=replace(state.facts, agents=left), elastic=elastic)


def _fail_run(run: Run, state: State, failure: Failure | None = None) -> State:
    failures = (*state.facts.failures, *((failure,) if failure else ()))
    failures = failures or (lost_launcher("the workers that the run needs did not register"),)
    return replace(state, phase="Failed", cause=find_root(failures, run.backend))


def _members(state: State) -> tuple[MemberId, ...]:
    return state.membership.members if state.membership else ()


def _find(state: State, id_: MemberId) -> Agent | None:
    """Return the agent of a member; None if it is lost."""
    agent = state.facts.agents.get(id_.worker)
    return agent if agent is not None and agent.instance == id_.instance else None


def _alive(state: State) -> dict[MemberId, Agent]:
    """Return the members of the current epoch that are not lost."""
    return {id_: agent for id_ in _members(state) if (agent := _find(state, id_)) is not None}
