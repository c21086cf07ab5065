"""Conditions: how every resource sets, compares and reads them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from fairlead.api.base import Condition, Conditions

MESSAGE_BYTES = 2000
_SUMMARY_BYTES = 256
_OMITTED = "\n… "
LOG_HEADING = " Last lines of its log:"
"""Ends the first line of a message with a log."""
_STYLES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
"""Sequences by which terminals set colors and move the cursor."""
_NO_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What YAML cannot hold: `kubectl get -o yaml` would fail for an object with any of these in its status."""


@dataclass(frozen=True)
class Finding:
    """The result of a check: a reason as one CamelCase word and a human-readable message."""

    reason: str
    message: str


@dataclass(frozen=True)
class Rejection(Finding):
    """What the API server says of a child that it has rejected."""

    kind: str = ""
    """The child's kind; empty if it is not known."""
    invalid: bool = False
    """Whether the child itself is at fault, so that the same one is rejected again."""


@dataclass(frozen=True)
class DesiredCondition:
    """A condition as a planner sets it, without its history."""

    type: str
    status: bool | None
    """None for Unknown."""
    reason: str
    message: str


def merge_conditions(
    before: Conditions, desired: Iterable[DesiredCondition], generation: int, now: datetime
) -> Conditions:
    """Return the desired conditions, which are the complete set; the transition time changes only with the status."""
    known = {condition.type: condition for condition in before}
    return tuple(_build(condition, known.get(condition.type), generation, now) for condition in desired)


def update_conditions(
    before: Conditions, desired: Iterable[DesiredCondition], generation: int, now: datetime
) -> Conditions:
    """Return `before` with some conditions changed, for a resource that cannot be read as a whole."""
    merged = {condition.type: condition for condition in before}
    for condition in desired:
        merged[condition.type] = _build(condition, merged.get(condition.type), generation, now)
    return tuple(merged.values())


def observe_generation(conditions: Conditions, generation: int) -> Conditions:
    """Return conditions that a change of the spec did not affect, as observed for its generation."""
    return tuple(condition.model_copy(update={"observed_generation": generation}) for condition in conditions)


def is_true(conditions: Conditions, type_: str) -> bool:
    """Return whether a condition exists and is True."""
    return any(condition.type == type_ and condition.status == "True" for condition in conditions)


def transition_time(conditions: Conditions, type_: str) -> datetime | None:
    """Return when the status of a condition last changed; None if it was never set."""
    for condition in conditions:
        if condition.type == type_:
            return datetime.fromisoformat(condition.last_transition_time)
    return None


def summarize(message: str) -> str:
    """Return the first line of a message, which names the cause."""
    return shorten(message.partition("\n")[0].removesuffix(LOG_HEADING), _SUMMARY_BYTES)


def clean(message: str) -> str:
    """Return a message as plain text: logs of pods are quoted in it, with whatever they contain."""
    plain = _STYLES.sub("", message).replace("\r\n", "\n").replace("\r", "\n")
    return _NO_TEXT.sub("\ufffd", plain)


def shorten(message: str, limit: int = MESSAGE_BYTES) -> str:
    """Return a message as plain text of at most `limit` bytes of UTF-8, with its first line and its end.

    The first line names the cause. The last lines of a log say most, but a long last line must not displace the cause.
    """
    message = clean(message)
    if len(message.encode(errors="replace")) <= limit:
        return message
    head, _, _ = message.partition("\n")
    start = _decode(head.encode(errors="replace")[: limit // 2])
    rest = message[len(start) :].encode(errors="replace")
    return start + _OMITTED + _decode(rest[-(limit - len((start + _OMITTED).encode())) :])


def _decode(content: bytes) -> str:
    """Decode UTF-8 that was cut inside of a character."""
    return content.decode(errors="ignore")


def _build(desired: DesiredCondition, before: Condition | None, generation: int, now: datetime) -> Condition:
    status: Literal["True", "False", "Unknown"] = (
        "Unknown" if desired.status is None else "True" if desired.status else "False"
    )
    return Condition(
        type=desired.type,
        status=status,
        reason=desired.reason,
        message=shorten(desired.message),
        last_transition_time=before.last_transition_time if before and before.status == status else format_time(now),
        observed_generation=generation,
    )


def format_time(moment: datetime) -> str:
    """Return a time in Kubernetes' format."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
