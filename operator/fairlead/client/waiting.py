"""Reading and waiting for a resource's conditions."""

import time
from collections.abc import Callable, Collection

from fairlead.client.errors import NotFound, ResourceFailed, Unreachable, WaitTimeout
from fairlead.client.objects import Object

_POLL_SECONDS = 0.25
FINAL_FAILURES = {
    "TrainingJob": {"Failed": "failed"}, "Sweep": {"Failed": "failed"}, "ModelDeployment": {"Degraded": "is degraded"},
}  # fmt: skip
"""Conditions that end a wait, by kind, and how error messages describe them."""


def wait_until(
    get: Callable[[], Object],
    done: Callable[[Object], bool],
    what: str,
    seconds: float,
    on_observed: Callable[[Object], None] | None = None,
) -> Object:
    """Wait until `done` returns True and return the object; an unreachable API server is retried.

    `on_observed` is called with every observed state. Raises WaitTimeout with the last known state, and NotFound if the
    object is deleted in the meantime.
    """
    deadline = time.monotonic() + seconds
    known = "the API server has not responded"
    while True:
        try:
            found = get()
        except NotFound:
            raise NotFound(f"{what}: deleted while waiting for it") from None
        except Unreachable as error:
            known = str(error)
        else:
            if on_observed:
                on_observed(found)
            if done(found):
                return found
            known = "; ".join(map(describe, _explaining(conditions(found)))) or "the operator has not reconciled it yet"
        if time.monotonic() + _POLL_SECONDS > deadline:
            raise WaitTimeout(f"{what}: not finished after {seconds:g} s: {known}")
        time.sleep(_POLL_SECONDS)


def wait_until_gone(remains: Callable[[], bool], what: str, seconds: float) -> None:
    """Wait until a deleted object and what belongs to it are gone; raises WaitTimeout."""
    deadline = time.monotonic() + seconds
    while remains():
        if time.monotonic() + _POLL_SECONDS > deadline:
            raise WaitTimeout(f"{what}: still exists {seconds:g} s after it was deleted")
        time.sleep(_POLL_SECONDS)


def reached(expected: Collection[str]) -> Callable[[Object], bool]:
    """Return a check whether one of the conditions is True; it raises ResourceFailed after a final failure."""

    def check(obj: Object) -> bool:
        if any(find_condition(obj, type_) for type_ in expected):
            return True
        for type_, verb in FINAL_FAILURES.get(obj["kind"], {}).items():
            if failed := find_condition(obj, type_):
                name = obj["metadata"]["name"]
                raise ResourceFailed(f"{obj['kind']} {name} {verb}: {failed['reason']}: {failed['message']}")
        return False

    return check


def conditions(obj: Object) -> list[Object]:
    """Return the conditions of an object's status."""
    return list(obj.get("status", {}).get("conditions", []))


def find_condition(obj: Object, type_: str) -> Object | None:
    """Return a condition if it is True for the object's current spec."""
    generation = obj["metadata"].get("generation", 0)
    for condition in conditions(obj):
        if (condition["type"], condition["status"]) == (type_, "True"):
            return condition if condition.get("observedGeneration") == generation else None
    return None


def is_finished(obj: Object) -> bool:
    """Return whether a training job or sweep has succeeded or failed."""
    return any(find_condition(obj, type_) for type_ in ("Succeeded", "Failed"))


def _explaining(found: list[Object]) -> list[Object]:
    """Return the conditions that have a message, without the summaries of kstatus if there are others."""
    explained = [condition for condition in found if condition["message"]]
    return [c for c in explained if c["type"] not in ("Ready", "Reconciling", "Stalled")] or explained


def describe(condition: Object) -> str:
    """Return a condition as one line."""
    return f"{condition['type']}={condition['status']} {condition['reason']}: {condition['message']}"
