"""Conditions: how every resource sets, compares and reads them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from fairlead.api.base import Condition, Conditions

_MESSAGE_LIMIT = 2000


@dataclass(frozen=True)
class Finding:
    """The result of a check: a reason as one CamelCase word and a human-readable message."""

    reason: str
    message: str


@dataclass(frozen=True)
class DesiredCondition:
    """A condition as a planner sets it, without its history."""

    type: str
    status: bool
    reason: str
    message: str


def merge_conditions(
    before: Conditions, desired: Iterable[DesiredCondition], generation: int, now: datetime
) -> Conditions:
    """Return `before` updated with the desired conditions; the transition time changes only with the status."""
    merged = {condition.type: condition for condition in before}
    for condition in desired:
        status = "True" if condition.status else "False"
        old = merged.get(condition.type)
        since = old.last_transition_time if old and old.status == status else format_time(now)
        merged[condition.type] = Condition(
            type=condition.type,
            status=status,
            reason=condition.reason,
            message=shorten(condition.message),
            last_transition_time=since,
            observed_generation=generation,
        )
    return tuple(merged.values())


def is_true(conditions: Conditions, type_: str) -> bool:
    """Return whether a condition exists and is True."""
    return any(condition.type == type_ and condition.status == "True" for condition in conditions)


def transition_time(conditions: Conditions, type_: str) -> datetime | None:
    """Return when the status of a condition last changed; None if it was never set."""
    for condition in conditions:
        if condition.type == type_:
            return datetime.fromisoformat(condition.last_transition_time)
    return None


def shorten(message: str) -> str:
    """Truncate a long message from the start: the last lines of a log say most."""
    return message if len(message) <= _MESSAGE_LIMIT else "… " + message[-_MESSAGE_LIMIT:]


def format_time(moment: datetime) -> str:
    """Return a time in Kubernetes' format."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
