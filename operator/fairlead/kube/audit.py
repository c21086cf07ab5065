"""Compares the caches with the API server: a watch that lost an event is found out, whoever lost it.

Only metadata is read, so the cost is a page of names for 500 objects, whatever the number of reconciles.
"""

import asyncio
from typing import Any

from fairlead.kube.cache import Cache
from fairlead.kube.client import KubeClient
from fairlead.kube.kinds import Kind

GRACE_SECONDS = 1.0
"""How long an event may be on its way."""


async def audit(
    kube: KubeClient, cache: Cache[Any], kind: Kind, namespace: str | None, labels: str | None, metadata_only: bool
) -> bool:
    """Bring a cache up to date where it has fallen behind; return whether it had."""
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
    """Return whether an event is missing: of an object that exists, or of one that no longer does."""
    if any(cache.seen(uid) < current for uid, current in listed.items()):
        return True
    cached = cache.versions(kind, namespace)
    return any(uid not in listed and known <= version for uid, known in cached.items())
