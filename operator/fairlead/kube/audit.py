"""Audits of the caches: compare them with the API server to detect lost watch events.

Only metadata is read: one page for 500 objects, independent of the number of reconciles.
"""

import asyncio
from typing import Any

from fairlead.kube.cache import Cache
from fairlead.kube.client import KubeClient
from fairlead.kube.kinds import Kind

GRACE_SECONDS = 1.0
"""How long an event may be delayed."""


async def audit(
    kube: KubeClient, cache: Cache[Any], kind: Kind, namespace: str | None, labels: str | None, metadata_only: bool
) -> bool:
    """Update a cache if it is out of date; return whether it was."""
    objects, version = await kube.list_at_version(kind, namespace, labels, metadata_only=True)
    listed = {obj["metadata"]["uid"]: int(obj["metadata"]["resourceVersion"]) for obj in objects}
    behind = _is_behind(cache, kind, namespace, listed, int(version))
    if behind:
        await asyncio.sleep(GRACE_SECONDS)
        behind = _is_behind(cache, kind, namespace, listed, int(version))
    if behind:
        objects, version = await kube.list_at_version(kind, namespace, labels, metadata_only=metadata_only)
        cache.replace(kind, namespace, objects, version)
    return behind


def _is_behind(cache: Cache[Any], kind: Kind, namespace: str | None, listed: dict[str, int], version: int) -> bool:
    """Return whether an event is missing, of an existing or of a deleted object."""
    if any(cache.seen(uid) < current for uid, current in listed.items()):
        return True
    cached = cache.versions(kind, namespace)
    return any(uid not in listed and known <= version for uid, known in cached.items())
