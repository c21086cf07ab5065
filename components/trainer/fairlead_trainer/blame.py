"""Whose fault it is that processes of an epoch have failed, for frameworks whose processes fail when they lose a peer.

A worker that dies takes the processes of all others with it, often before anybody knows that it is dead. So the
failure of a process says little by itself. What the heartbeats say decides: if a worker was lost, all others go on. If
all agents have been heard since, no worker was lost, and processes have failed by themselves. Then the first one that
does not say that it lost a peer is to blame, and the others go on, since they may have failed because of it. If
processes fail again before they have come further than ever, all that say nothing of a peer are to blame: their script
has an error. If they do so again and again, the run fails: the operator replaces workers, so that it would never end.
"""

from dataclasses import replace

from .elastic_state import Breakdown, Setback
from .losses import fail, find_alive
from .state import Run, State
from .verdict import is_consequence

_SETTLE_SECONDS = 1.0
"""How long a worker may be heard after it has died, and may take to report what others have noticed already."""
_MAX_SETBACKS = 5
"""How many times in a row processes may fail without having come further, although no worker was lost."""
_LONG_SECONDS = 600.0
"""The time between two failures after which a run that reports no progress counts as having come further."""


def judge(run: Run, state: State, now: float) -> State:
    """Remove the workers that are to blame for failed processes, once that is known; the others go on, if they may."""
    elastic = state.elastic
    if not elastic.broken:
        return state
    if elastic.lost_since is not None:
        return replace(state, elastic=replace(elastic, broken=()))
    if not _is_known(state, now):
        return state
    setback = _count_setback(state, now)
    guilty = _find_guilty(run, elastic.broken, again=setback.times > 1)
    if setback.times >= _MAX_SETBACKS:
        return replace(state, phase="Failed", cause=guilty[0].failure)
    recalled = now if elastic.recalled_since is None else elastic.recalled_since
    state = replace(state, elastic=replace(elastic, broken=(), setback=setback, recalled_since=recalled))
    for known in guilty:
        state = fail(run, state, known.id.worker, known.failure, now)
    return state


def _is_known(state: State, now: float) -> bool:
    """Return whether all workers were alive after the first failure: it does not follow from the death of one."""
    since = max(state.elastic.broken[0].at, state.facts.resumed) + _SETTLE_SECONDS
    return now >= since and all(agent.finished or agent.seen >= since for agent in find_alive(state).values())


def _count_setback(state: State, now: float) -> Setback:
    known, step = state.elastic.setback, state.progress.step if state.progress else 0
    if known is None or step > known.step or (state.progress is None and now - known.at > _LONG_SECONDS):
        return Setback(step, now)
    return Setback(known.step, now, known.times + 1)


def _find_guilty(run: Run, broken: tuple[Breakdown, ...], *, again: bool) -> tuple[Breakdown, ...]:
    own = tuple(known for known in broken if not is_consequence(known.failure, run.backend))
    if again:
        return own or broken[:1]
    return own[:1]
