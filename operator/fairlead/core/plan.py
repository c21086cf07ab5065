"""What a planner returns, and what every builder of children shares."""

import json
from dataclasses import dataclass
from typing import Any

from fairlead.api.base import Resource, StatusModel
from fairlead.core import names

Object = dict[str, Any]


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


@dataclass(frozen=True)
class PodView:
    """What planners read of a pod."""

    name: str
    uid: str
    role: str = ""
    index: int = 0
    attempt: int = 0
    phase: str = "Pending"
    ready: bool = False
    deleting: bool = False
    ip: str | None = None
    exit_code: int | None = None
    termination_message: str = ""
    waiting: str = ""
    """Why it does not start, such as `ErrImagePull: …`; empty when nothing is wrong."""
    restarts: int = 0

    @property
    def finished(self) -> bool:
        """Say whether its containers have ended."""
        return self.phase in ("Succeeded", "Failed")


def build_owned(resource: Resource, api_version: str, kind: str, name: str, labels: dict[str, str]) -> Object:
    """Return the head of a child object: it goes when its owner goes."""
    meta = resource.metadata
    owner = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": meta.name,
        "uid": meta.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name, "namespace": meta.namespace, "labels": labels, "ownerReferences": [owner],
        },
    }  # fmt: skip


def with_hash(obj: Object) -> Object:
    """Add the hash of the object to its annotations."""
    digest = names.short_hash(json.dumps(obj, sort_keys=True))
    meta = obj["metadata"]
    annotations = meta.get("annotations", {}) | {names.APPLIED_HASH: digest}
    return obj | {"metadata": meta | {"annotations": annotations}}
