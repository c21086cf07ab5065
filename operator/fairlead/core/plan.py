"""What a planner returns: everything that one reconcile does."""

from dataclasses import dataclass

from fairlead.api.base import StatusModel
from fairlead.core.children import Object


@dataclass(frozen=True)
class Deletion:
    """One child to delete: by kind, name and uid, so that a successor of the same name is safe."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True)
class Event:
    """Something that a person should see in `kubectl describe`."""

    type: str
    """Normal or Warning."""
    reason: str
    message: str
    action: str


@dataclass(frozen=True)
class Plan:
    """Everything that one reconcile does, in this order: delete, apply, status, events."""

    status: StatusModel
    apply: tuple[Object, ...] = ()
    delete: tuple[Deletion, ...] = ()
    events: tuple[Event, ...] = ()
    requeue_after: float | None = None
    """Seconds; None: when something changes."""
