"""The launcher's answers to an agent: whether to wait, run or stop, and which processes to start."""

from typing import Any

from .membership import MemberId
from .state import State

_ANSWERS = {"Waiting": "wait", "Running": "run", "Succeeded": "run", "Failed": "stop"}
"""The answer to agents in each phase."""


def place(state: State, id_: MemberId) -> dict[str, Any]:
    """Return a worker's processes: those of the current epoch, or those that wait for a later one."""
    if answer(state, id_) == "stop":
        return {"state": "stop"}
    epoch = state.membership.epoch if state.membership else None
    if state.slots is not None and state.trains(id_):
        found = state.slots[id_.worker]
    else:
        found = state.elastic.prepared.get(id_, ())
    if not found:
        return {"state": "wait", "epoch": epoch}
    slots = [{"rank": slot.rank, "environment": slot.environment} for slot in found]
    return {"state": "run", "epoch": epoch, "slots": slots}


def answer(state: State, id_: MemberId) -> str:
    """Return the answer to an agent; it stops if the run ended without it, or if it leaves and does not train."""
    agent = state.agent_of(id_)
    leaves = agent is not None and agent.leaving and id_ in state.elastic.prepared
    unused = (state.ended or leaves) and not state.trains(id_)
    return "stop" if unused else _ANSWERS[state.phase]
