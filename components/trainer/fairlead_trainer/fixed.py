"""The rules of a run of a fixed size: it begins with all workers, and fails with the first one."""

from dataclasses import replace

from fairlead_contracts.termination import Failure

from .events import Assign, Order, Registered
from .membership import Observed, plan_membership
from .state import Run, State, add_agent, add_failure, list_candidates
from .verdict import find_cause, has_succeeded


def register(run: Run, state: State, event: Registered, now: float) -> State:  # noqa: ARG001
    """Add an agent, or note that a known one is alive; raise Rejected for a second agent of a worker."""
    return add_agent(state, event, now)


def fail(run: Run, state: State, worker: int, failure: Failure, now: float) -> State:  # noqa: ARG001
    """Record the failure of a worker."""
    return add_failure(state, failure, now)


def advance(run: Run, state: State, now: float) -> tuple[State, tuple[Order, ...]]:
    """Determine the result of the run if possible; begin once all workers have registered."""
    cause = find_cause(state.facts, run.backend, run.timing, now)
    if cause is not None:
        return replace(state, phase="Failed", cause=cause), ()
    if state.phase == "Running" and has_succeeded(state.facts):
        return replace(state, phase="Succeeded"), ()
    if state.membership is not None:
        return state, ()  # it has one membership
    membership = plan_membership(run.bounds, None, Observed(list_candidates(state), run.workers), now).membership
    if membership is None:
        return state, ()
    members = tuple(state.facts.agents[member.worker].member for member in membership.members)
    return replace(state, membership=membership), (Assign(membership, members),)
