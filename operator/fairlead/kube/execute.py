"""Writes: what a plan says, in its order."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from fairlead.api.base import ObjectMeta, Resource, StatusModel
from fairlead.core import names
from fairlead.core.plan import Event, Plan
from fairlead.kube.client import KubeClient
from fairlead.kube.errors import NAME_TAKEN, ApiError
from fairlead.kube.kinds import CONFIG_MAP, DEPLOYMENT, EVENT, POD, SECRET, SERVICE, Kind

CHILD_KINDS = {kind.kind: kind for kind in (POD, SERVICE, SECRET, CONFIG_MAP, DEPLOYMENT)}
_EVENT_MESSAGE_LIMIT = 1000  # the API server's is 1,024 bytes


async def execute(kube: KubeClient, resource: Resource, kind: Kind, plan: Plan) -> int:
    """Delete, apply, write the status where it changed, then tell: an event never speaks of what did not happen.

    Returns how many requests that change something it took.
    """
    namespace = resource.metadata.namespace
    for deletion in plan.delete:
        await kube.delete(CHILD_KINDS[deletion.kind], deletion.name, namespace, uid=deletion.uid)
    for child in plan.apply:
        await _apply(kube, resource, CHILD_KINDS[child["kind"]], child)
    written = await write_status(kube, kind, resource.metadata, resource.status, plan.status)
    for event in plan.events:
        await _tell(kube, resource, kind, event)
    return len(plan.delete) + len(plan.apply) + written + len(plan.events)


async def _apply(kube: KubeClient, resource: Resource, kind: Kind, child: dict[str, Any]) -> None:
    """Apply a child; one of its name that is not ours stays as it is, and is reported."""
    try:
        await kube.apply(kind, child, force=False)
    except ApiError as error:
        if error.code != 409:
            raise
        meta = child["metadata"]
        there = await kube.get(kind, meta["name"], meta["namespace"])
        if resource.metadata.uid not in [owner["uid"] for owner in there["metadata"].get("ownerReferences", [])]:
            message = f"{kind.kind} {meta['name']} exists and belongs to somebody else; expected the name to be free"
            raise ApiError(409, NAME_TAKEN, message) from error
        await kube.apply(kind, child)


async def write_status(kube: KubeClient, kind: Kind, meta: ObjectMeta, before: StatusModel, after: StatusModel) -> bool:
    """Write a status, unless it says what the resource's says already; says whether it did."""
    if after == before:
        return False
    body = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": meta.name, "namespace": meta.namespace},
        "status": after.model_dump(mode="json", by_alias=True, exclude_none=True),
    }
    await kube.apply(kind, body, "status")
    return True


async def _tell(kube: KubeClient, resource: Resource, kind: Kind, event: Event) -> None:
    try:
        await kube.create(EVENT, _build_event(resource, kind, event), resource.metadata.namespace)
    except ApiError as error:
        if error.code != 409:
            raise


def _build_event(resource: Resource, kind: Kind, event: Event) -> dict[str, Any]:
    """Build an event with a name of its content: telling it again is no second event."""
    meta = resource.metadata
    text = f"{meta.uid}/{meta.generation}/{event.reason}/{event.message}"
    return {
        "metadata": {
            "name": f"{meta.name}.{hashlib.sha256(text.encode()).hexdigest()[:16]}",
            "namespace": meta.namespace,
        },
        "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": "fairlead.dev/operator",
        "reportingInstance": names.OPERATOR,
        "type": event.type,
        "reason": event.reason,
        "action": event.action,
        "note": event.message[:_EVENT_MESSAGE_LIMIT],
        "regarding": {
            "apiVersion": kind.api_version, "kind": kind.kind, "name": meta.name, "namespace": meta.namespace,
            "uid": meta.uid,
        },
    }  # fmt: skip
