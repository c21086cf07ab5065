"""Conditions: set, compared and read in one way for every resource."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from fairlead.api.base import Condition, Conditions

_MESSAGE_LIMIT = 2000


@dataclass(frozen=True)
class Finding:
    """What a check found: a reason in one CamelCase word, and a message for a person."""

    reason: str
    message: str


@dataclass(frozen=True)
class Wanted:
    """A condition that a planner wants, without its history."""

    type: str
    status: bool
    reason: str
    message: str


def merge_conditions(before: Conditions, wanted: Iterable[Wanted], generation: int, now: datetime) -> Conditions:
    """Return `before` with every wanted condition in place; the transition time moves only with the status."""
    merged = {condition.type: condition for condition in before}
    for want in wanted:
        status = "True" if want.status else "False"
        old = merged.get(want.type)
        since = old.last_transition_time if old and old.status == status else format_time(now)
        merged[want.type] = Condition(
            type=want.type,
            status=status,
            reason=want.reason,
            message=shorten(want.message),
            last_transition_time=since,
            observed_generation=generation,
        )
    return tuple(merged.values())


def is_true(conditions: Conditions, type_: str) -> bool:
    """Say whether a condition is there and True."""
    return any(condition.type == type_ and condition.status == "True" for condition in conditions)


def transition_time(conditions: Conditions, type_: str) -> datetime | None:
    """Return when a condition's status last changed; None when it was never set."""
    for condition in conditions:
        if condition.type == type_:
            return datetime.fromisoformat(condition.last_transition_time)
    return None


def shorten(message: str) -> str:
    """Keep the end of a long message: a log's last lines say most."""
    return message if len(message) <= _MESSAGE_LIMIT else "… " + message[-_MESSAGE_LIMIT:]


def format_time(moment: datetime) -> str:
    """Return a moment as Kubernetes writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
