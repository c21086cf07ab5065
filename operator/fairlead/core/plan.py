"""Plans: everything that a reconcile does."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fairlead.api.base import StatusModel
from fairlead.core.children import Object
from fairlead.core.views import PodView


@dataclass(frozen=True)
class Deletion:
    """A child to delete. The uid protects a newer object of the same name."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True)
class Patch:
    """A merge patch of a child, whose other fields stay. The uid protects a newer object of the same name."""

    kind: str
    name: str
    uid: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Event:
    """An event, as shown by `kubectl describe`."""

    type: str
    """Normal or Warning."""
    reason: str
    message: str
    action: str
    occasion: str = ""
    """Distinguishes repetitions, such as the same failure of a later attempt; equal events are sent once."""


@dataclass(frozen=True)
class Plan:
    """Everything that a reconcile does, in this order: delete, apply, events, status, patch, delete what it counts,
    apply what nothing waits for, delete itself."""

    status: StatusModel
    apply: tuple[Object, ...] = ()
    delete: tuple[Deletion, ...] = ()
    patches: tuple[Patch, ...] = ()
    """What is changed of children after the status that says so was written."""
    delete_counted: tuple[Deletion, ...] = ()
    """What is deleted after the status that counts it was written: a crash must not lose the count."""
    apply_last: tuple[Object, ...] = ()
    """What is applied after the status was written: nothing else waits for it, nor suffers if it fails."""
    events: tuple[Event, ...] = ()
    expired: bool = False
    """Whether to delete the resource itself, unless it has changed meanwhile."""
    requeue_after: float | None = None
    """Seconds until the next reconcile; None waits for a change."""


def delete_pods(pods: Iterable[PodView]) -> tuple[Deletion, ...]:
    """Return the deletions of pods that are not being deleted yet."""
    return tuple(Deletion("Pod", pod.name, pod.uid) for pod in pods if not pod.deleting)
