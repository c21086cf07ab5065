"""Which workers are delayed, and by what: what the launcher says of it in its status."""

from fairlead_contracts.base import to_line
from fairlead_contracts.launcher_status import MAX_DELAY, MAX_DELAYS, Delay
from fairlead_contracts.termination import Failure

from .state import Run, State


def list_delays(run: Run, state: State, now: float) -> tuple[Delay, ...]:
    """Return what delays the first workers: what they said lately, that they are silent, or why they were lost."""
    agents = state.facts.agents
    found = _list_lost(run, state)
    found |= {worker: text for worker, (text, seen) in state.delays.items() if now - seen <= run.timing.silence}
    found |= {worker: agent.activity for worker, agent in agents.items() if agent.activity and not agent.finished}
    # what they said before they fell silent is old
    found |= _list_silent(run, state, now)
    return tuple(Delay(worker=worker, activity=found[worker]) for worker in sorted(found)[:MAX_DELAYS])


def _list_silent(run: Run, state: State, now: float) -> dict[int, str]:
    """Return the workers from which nothing was heard for long, though they do not count as lost yet."""
    # the workers of a large job send few heartbeats
    long = max(run.timing.silence / 3, 2.5 * run.timing.heartbeat)
    return {
        worker: f"has sent no heartbeat for more than {long:g} s"
        for worker, agent in state.facts.agents.items()
        if not state.ended and not agent.finished and state.facts.silence(agent, now) > long
    }


def _list_lost(run: Run, state: State) -> dict[int, str]:
    """Return why workers of an elastic run that goes on without them were lost."""
    if not run.elastic or state.membership is None or state.ended:
        return {}
    training = {id_.worker for id_ in state.members if state.agent_of(id_) is not None}
    last = {failure.worker: failure for failure in state.facts.failures}
    return {worker: _describe(last[worker]) for worker in last if worker is not None and worker not in training}


def _describe(failure: Failure) -> str:
    code = "" if failure.exit_code is None else f" with code {failure.exit_code}"
    if failure.signal is not None:
        code = f" by {failure.signal_name}"
    cause = failure.log_tail.strip().rpartition("\n")[2]
    return to_line(f"was lost and does not train yet ({failure.reason}{code}): {cause}".removesuffix(": "), MAX_DELAY)
