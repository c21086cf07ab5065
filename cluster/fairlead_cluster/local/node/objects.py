"""Helpers to read Kubernetes objects."""

import datetime
from typing import Any

Object = dict[str, Any]


def pod_key(pod: Object) -> str:
    """Return `namespace/name`, for messages."""
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def pod_containers(pod: Object) -> list[Object]:
    """Return the containers of a pod without its init containers."""
    return list(pod["spec"]["containers"])


def init_containers(pod: Object) -> list[Object]:
    """Return the init containers in their order."""
    return list(pod["spec"].get("initContainers") or [])


def pod_finished(pod: Object) -> bool:
    """Return True if a pod has terminated."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def pod_ready(pod: Object) -> bool:
    """Return True if a pod accepts requests: its Ready condition is True and it is not being deleted."""
    conditions = pod.get("status", {}).get("conditions") or []
    ready = any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def named_port(container_list: list[Object], port: int | str) -> int | None:
    """Return a port's number: itself, or that of the container port of this name."""
    if isinstance(port, int):
        return port
    for container in container_list:
        for item in container.get("ports") or []:
            if item.get("name") == port:
                return int(item["containerPort"])
    return int(port) if port.isdigit() else None


def timestamp() -> str:
    """Return the current time in Kubernetes' format."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp() -> str:
    """Return the current time in the format of leases and events."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
