"""Conversion of Kubernetes objects to the views that planners read."""

from datetime import datetime
from typing import Any

from fairlead.core import names
from fairlead.core.views import ChildView, PodView

Object = dict[str, Any]

_STARTING = ("ContainerCreating", "PodInitializing")
"""Waiting reasons of a pod that starts normally."""


def view_pod(pod: Object) -> PodView:
    """Return the view of a pod."""
    meta, status = pod["metadata"], pod.get("status", {})
    labels = meta.get("labels", {})
    containers = status.get("containerStatuses", [])
    main = _main_container(pod, containers)
    ended = main.get("state", {}).get("terminated") or main.get("lastState", {}).get("terminated") or {}
    return PodView(
        name=meta["name"],
        uid=meta["uid"],
        role=labels.get(names.ROLE, ""),
        index=_number(labels.get(names.WORKER_INDEX, "0")),
        attempt=_number(labels.get(names.ATTEMPT, "0")),
        phase=status.get("phase", "Pending"),
        deleting="deletionTimestamp" in meta,
        ip=status.get("podIP"),
        exit_code=ended.get("exitCode"),
        termination_message=ended.get("message", ""),
        waiting=_waiting(status, containers),
        restarts=sum(container.get("restartCount", 0) for container in containers),
        created=datetime.fromisoformat(meta["creationTimestamp"]) if "creationTimestamp" in meta else None,
    )


def view_child(obj: Object) -> ChildView:
    """Return the view of a Deployment, Service or ConfigMap."""
    meta, status = obj["metadata"], obj.get("status", {})
    updated = status.get("updatedReplicas", 0)
    settled = (
        status.get("observedGeneration", 0) >= meta.get("generation", 0)
        and updated == obj.get("spec", {}).get("replicas", 0)
        and status.get("replicas", 0) == updated
    )
    return ChildView(
        name=meta["name"],
        uid=meta["uid"],
        applied_hash=meta.get("annotations", {}).get(names.APPLIED_HASH, ""),
        cluster_ip=obj.get("spec", {}).get("clusterIP"),
        replicas=status.get("replicas", 0),
        ready=min(status.get("readyReplicas", 0), updated),
        settled=settled,
    )


def _number(label: str) -> int:
    """Return the number in a label, which anyone can write; -1, which no worker or attempt has, for anything else."""
    return int(label) if label.isascii() and label.isdigit() and len(label) < 10 else -1


def _main_container(pod: Object, statuses: list[Object]) -> Object:
    """Return the status of the failed container, init containers included, else of the first container."""
    all_statuses: list[Object] = pod.get("status", {}).get("initContainerStatuses", []) + statuses
    for status in all_statuses:
        ended = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated")
        if ended and ended.get("exitCode"):
            return status
    return statuses[0] if statuses else {}


def _waiting(status: Object, containers: list[Object]) -> str:
    """Return why a pod does not start, or why it failed before its containers ran."""
    for container in status.get("initContainerStatuses", []) + containers:
        waiting = container.get("state", {}).get("waiting")
        if waiting and waiting.get("reason") not in (*_STARTING, None):
            return f"container {container['name']}: {waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{condition.get('reason', '')}: {condition.get('message', '')}"
    if status.get("phase") == "Failed" and status.get("reason"):
        return f"{status['reason']}: {status.get('message', '')}"
    return ""
