"""The rules of a run of a variable size: it goes on without the workers that it loses, and with new ones.

An epoch ends when its processes have left it: after a loss on their own, because the framework fails; for a worker that
joins or leaves after their next commit, because they are notified. The next one begins with the available workers.
Every wait has a limit: a member that does not leave in time counts as lost, and the run fails if nobody is left who has
the state.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from fairlead_contracts.launcher_status import ResizeReason
from fairlead_contracts.termination import Failure

from .blame import judge
from .elastic_state import Announcement, Breakdown
from .events import Announce, Arrived, Assign, Left, Order, Registered
from .losses import (
    describe_loss,
    fail,
    find_alive,
    is_recalled,
    lose,
    lose_hanging,
    lose_late,
    lose_silent,
    lose_unready,
)
from .membership import Decision, MemberId, Membership, Observed, plan_membership
from .readiness import find_patience, find_settle, list_available, list_held, note_ready, prepare
from .state import Run, State, add_agent, hear_left
from .verdict import Agent, find_root, lost_launcher

__all__ = ["advance", "arrive", "fail", "leave", "register"]

_LATE_SECONDS = 2.0
"""How long members that have left an epoch after a loss wait for the others, if enough have left."""
_TELL_AGAIN_SECONDS = 1.0
"""How often processes are notified of the next epoch: they may not listen yet."""


def register(run: Run, state: State, event: Registered, now: float) -> State:  # noqa: ARG001
    """Add an agent; a second agent of a worker means that the first one is gone."""
    known = state.facts.agents.get(event.id.worker)
    # what has succeeded is part of the result
    done = known is not None and known.finished and state.trains(MemberId(event.id.worker, known.instance))
    if known is not None and known.instance != event.id.instance and not done:
        state = lose(state, event.id.worker, "was started again", now)
    return add_agent(state, event, now)


def arrive(state: State, event: Arrived, now: float) -> State:
    """Note that a process waits for the next epoch: it has left the current one, or has no place in it."""
    if not state.trains(event.id):
        return note_ready(state, event, now)
    if not state.is_current(event.epoch) or state.agent_of(event.id) is None:
        return state  # it has left an earlier epoch, or counts as lost
    elastic = state.elastic
    changed = replace(
        elastic,
        waiting=elastic.waiting | {event.id},
        arrived=elastic.arrived | {event.id} if event.complete else elastic.arrived,
        gone=elastic.gone - {event.id},
        left_since=now if elastic.left_since is None else elastic.left_since,
    )
    return replace(state, elastic=changed)


def leave(run: Run, state: State, event: Left, now: float) -> State:
    """Note that the processes of a member have been stopped, or have failed; raise Rejected if it counts as lost."""
    state = hear_left(state, event, now)
    known = event.id in state.elastic.arrived
    if known or not state.trains(event.id) or not state.is_current(event.epoch):
        return state
    state = arrive(state, Arrived(event.id, event.epoch, complete=True), now)
    if event.failure is None or is_recalled(run, state):
        return state  # while processes are stopped, others fail because of it
    broken = (*state.elastic.broken, Breakdown(event.id, event.failure, now))
    return replace(state, elastic=replace(state.elastic, broken=broken))


def advance(run: Run, state: State, now: float) -> tuple[State, tuple[Order, ...]]:
    """Determine the result of the run if possible; let processes start; begin or announce the next epoch."""
    state = lose_late(run, lose_hanging(run, lose_silent(run, state, now), now), now)
    state = judge(run, lose_unready(run, state, now), now)
    alive = find_alive(state)
    if not state.ended:
        state = _judge_start(run, state) if state.membership is None else _judge_end(run, state, alive)
    if state.ended:
        return state, ()
    state, preparations = prepare(run, state)
    if any(agent.ended for agent in alive.values()) and not is_recalled(run, state):
        return state, preparations
    state, orders = _proceed(run, state, alive, now)
    return state, (*preparations, *orders)


def _proceed(run: Run, state: State, alive: dict[MemberId, Agent], now: float) -> tuple[State, tuple[Order, ...]]:
    """Begin or announce the next epoch, if there is to be one."""
    left = bool(alive) and state.elastic.arrived.issuperset(alive) and not state.elastic.broken
    if late := _find_late(run, state, alive, now):
        following = _decide(run, state, True, now, late).membership
        # at least one of those who have the state; the current membership if there are too few
        if following and following != state.membership and not state.elastic.arrived.isdisjoint(following.members):
            return _begin(run, state, following, dict.fromkeys(late, now))
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
        return _begin(run, state, decision.membership)
    if run.backend.restarts:
        return _recall(state, decision.membership, now), ()
    return _announce(state, decision.membership, now)


def _judge_start(run: Run, state: State) -> State:
    """Determine the result of a run whose processes ended before its first epoch: its script may not use Horovod."""
    if len(state.elastic.failed_starts) >= run.workers:
        return _fail_run(run, state)  # no worker is to blame
    agents = state.facts.agents.values()
    done = len(agents) >= run.workers and all(agent.succeeded for agent in agents)
    return replace(state, phase="Succeeded") if done else state


def _judge_end(run: Run, state: State, alive: dict[MemberId, Agent]) -> State:
    """Determine the result: the run succeeds with all members of its last epoch, or not at all.

    Where processes are started anew, those that have ended are too, until an agent has reported its success.
    """
    if not alive:
        return _fail_run(run, state)  # nobody has the state any more
    if not any(agent.succeeded if run.backend.restarts else agent.ended for agent in alive.values()):
        return state
    if len(alive) < len(state.members):
        return _fail_run(run, state)
    if late := min(state.elastic.waiting, default=None):
        return _fail_run(run, state, describe_loss(late.worker, "left its epoch after another worker had finished"))
    return replace(state, phase="Succeeded") if all(agent.succeeded for agent in alive.values()) else state


def _find_late(run: Run, state: State, alive: Collection[MemberId], now: float) -> frozenset[MemberId]:
    """Return the members that have not left the current epoch in time after others, who may go on without them.

    What holds them up in the framework may be the very processes that have left, until these begin another epoch.
    """
    elastic = state.elastic
    told = elastic.announced is not None and elastic.lost_since is None and not elastic.gone
    if run.backend.restarts or told or elastic.left_since is None or not elastic.arrived.intersection(alive):
        return frozenset()
    if now - max(elastic.left_since, state.facts.resumed) < _LATE_SECONDS:
        return frozenset()
    return frozenset(alive) - elastic.arrived


def _decide(run: Run, state: State, left: bool, now: float, late: Collection[MemberId] = frozenset()) -> Decision:
    bounds = replace(run.bounds, settle=find_settle(run, state, left), patience=find_patience(run, state))
    desired = run.workers if state.membership is None else run.bounds.most
    hanging = state.elastic.late.keys() | late
    candidates = tuple(candidate for candidate in list_available(run, state) if candidate.id not in hanging)
    observed = Observed(candidates, desired, state.elastic.failed, _short_since(state))
    return plan_membership(bounds, state.membership, observed, now)


def _short_since(state: State) -> float | None:
    """Return since when there have been too few workers; at the start, since the first one registered or failed."""
    facts = state.facts
    if state.membership is not None:
        return state.elastic.short_since
    return facts.failed if facts.first is None and facts.failures else facts.first


def _begin(
    run: Run, state: State, membership: Membership, late: Mapping[MemberId, float] | None = None
) -> tuple[State, tuple[Order, ...]]:
    """Begin the next epoch; of the same workers if they have left the last one for another reason."""
    late = {**state.elastic.late, **(late or {})}
    ready = {id_: since for id_, since in state.elastic.ready.items() if id_ not in membership.members}
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
        recalled_since=None,
        unreported=run.backend.restarts,
        late=late,
        ready=ready,
        gone=frozenset(),
        reason=_explain(state, membership, late),
    )
    state = replace(state, membership=membership, slots=None, elastic=elastic)
    return state, (Assign(membership, members, list_held(state)),)


def _explain(state: State, following: Membership, late: Collection[MemberId]) -> ResizeReason | None:
    before, after = set(state.members), set(following.members)
    if state.membership is None:
        return None
    if any(member in late or state.agent_of(member) is None for member in before):
        return "WorkersLost"
    if before - after:
        return "WorkersLeft"
    return "WorkersJoined" if after - before else "Restarted"


def _announce(state: State, membership: Membership, now: float) -> tuple[State, tuple[Order, ...]]:
    """Notify the processes of a change. They notice a loss themselves, and cannot be notified while they hang."""
    current = state.members
    if set(current) == set(membership.members) or any(state.agent_of(member) is None for member in current):
        return state, ()
    known = state.elastic.announced
    again = known is not None and known.members == membership.members
    if known is not None and again and now - known.told < _TELL_AGAIN_SECONDS:
        return state, ()
    announced = Announcement(membership.members, known.since if known is not None and again else now, now)
    members = tuple(state.facts.agents[member.worker].member for member in current)
    order = Announce(members, announced.since, again)
    return replace(state, elastic=replace(state.elastic, announced=announced)), (order,)


def _recall(state: State, membership: Membership, now: float) -> State:
    """Have the agents stop the processes for an epoch of other members."""
    if membership == state.membership or state.elastic.recalled_since is not None:
        return state
    return replace(state, elastic=replace(state.elastic, recalled_since=now))


def _fail_run(run: Run, state: State, failure: Failure | None = None) -> State:
    failures = (*state.facts.failures, *((failure,) if failure else ()))
    failures = failures or (lost_launcher("the workers that the run needs did not register"),)
    return replace(state, phase="Failed", cause=find_root(failures, run.backend))
