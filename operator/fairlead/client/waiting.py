"""Wait for a resource's conditions, and read them."""

import time
from collections.abc import Callable, Collection

from fairlead.client.errors import NotFound, ResourceFailed, Unreachable, WaitTimeout
from fairlead.client.objects import Object

_POLL_SECONDS = 0.25
FINAL_FAILURES = {"TrainingJob": {"Failed": "failed"}, "ModelDeployment": {"Degraded": "is degraded"}}
"""Conditions from which waiting does not help, by kind, and how a message states them."""


def wait_until(
    look: Callable[[], Object],
    done: Callable[[Object], bool],
    what: str,
    seconds: float,
    on_observed: Callable[[Object], None] | None = None,
) -> Object:
    """Return the object once `done` holds; an API server that does not answer for a while is waited for.

    `on_observed` is called with every state that is seen. Raises WaitTimeout naming what was last known, NotFound when
    the object is deleted meanwhile.
    """
    deadline = time.monotonic() + seconds
    known = "the API server has not answered"
    while True:
        try:
            found = look()
        except NotFound:
            raise NotFound(f"{what}: was deleted while it was waited for") from None
        except Unreachable as error:
            known = str(error)
        else:
            if on_observed:
                on_observed(found)
            if done(found):
                return found
            known = "; ".join(map(describe, conditions(found))) or "the operator has not looked at it"
        if time.monotonic() + _POLL_SECONDS > deadline:
            raise WaitTimeout(f"{what}: not finished after {seconds:g} s: {known}")
        time.sleep(_POLL_SECONDS)


def reached(expected: Collection[str]) -> Callable[[Object], bool]:
    """Return whether one of the conditions holds for the present spec, raising ResourceFailed at a final failure."""

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
    """Return a condition that is True and was observed at the object's present spec."""
    generation = obj["metadata"]["generation"]
    for condition in conditions(obj):
        if (condition["type"], condition["status"]) == (type_, "True"):
            return condition if condition.get("observedGeneration") == generation else None
    return None


def describe(condition: Object) -> str:
    """Return a condition in one line."""
    return f"{condition['type']}={condition['status']} {condition['reason']}: {condition['message']}"
