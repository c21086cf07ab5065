"""Why a pod does not start, as its status says: read by the operator, and by the commands that look at pods."""

from collections.abc import Mapping
from typing import Any

STARTING = (None, "ContainerCreating", "PodInitializing")
"""Waiting reasons of a container that starts normally."""


def find_unscheduled(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return the condition by which the scheduler says why a pod has no node; empty if it says nothing."""
    conditions = status.get("conditions", [])
    return next((c for c in conditions if c["type"] == "PodScheduled" and c["status"] == "False"), {})


def find_waiting(status: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Return the first container that cannot start, init containers before others, and the state in which it waits."""
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        waiting: dict[str, Any] = container.get("state", {}).get("waiting") or {}
        if waiting.get("reason") not in STARTING:
            return container["name"], waiting
    return None
