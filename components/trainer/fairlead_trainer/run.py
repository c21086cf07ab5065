"""A run of a job as a state machine: `step` returns the next state and orders for a state and an event.

Pure: it knows no lock, clock or connection. Times are of the launcher's monotonic clock, in seconds.
"""

from dataclasses import replace

from . import elastic, fixed, readiness
from .events import (
    Arrived,
    Assigned,
    Beat,
    Closed,
    Delayed,
    Event,
    Finished,
    Gone,
    Left,
    Order,
    Prepared,
    Registered,
    Resumed,
    Tick,
)
from .state import Run, State, add_agent, delay, finish, hear


def step(run: Run, state: State, event: Event, now: float) -> tuple[State, tuple[Order, ...]]:
    """Return the state after an event, and what the launcher must do; raise Rejected if the event is not valid."""
    rules = elastic if run.elastic else fixed
    match event:
        case Beat():
            # the most frequent event by far; silence is noticed by ticks
            return hear(state, event, now), ()
        case Delayed():
            return delay(state, event, now), ()
        case Registered() if state.agent_of(event.id) is not None:
            # one that waits for its epoch registers again and again
            return add_agent(state, event, now), ()
        case Registered():
            state = rules.register(run, state, event, now)
        case Finished():
            state, failure = finish(run, state, event, now)
            if failure is not None:
                state = rules.fail(run, state, event.id.worker, failure, now)
        case Prepared():
            return readiness.note_prepared(state, event), ()
        case Gone():
            state = readiness.note_gone(state, event, now)
        case Assigned():
            current = not state.ended and event.membership == state.membership
            state = replace(state, slots=event.slots, phase="Running") if current else state
        case Arrived():
            state = elastic.arrive(state, event, now)
        case Left():
            state = elastic.leave(run, state, event, now)
        case Resumed():
            state = replace(state, facts=replace(state.facts, resumed=now))
        case Closed():
            return replace(state, phase=state.phase if state.ended else "Failed"), ()
        case Tick():
            pass
    return (state, ()) if state.ended else rules.advance(run, state, now)
