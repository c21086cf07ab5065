"""Periodic tasks: audit the caches and reconcile every resource."""

import asyncio
import logging
import time

from fairlead.handlers.health import Health
from fairlead.handlers.queue import KeyedQueue
from fairlead.handlers.settings import OperatorSettings
from fairlead.kube.audit import audit
from fairlead.kube.children import CHILDREN, SELECTOR, ChildCache
from fairlead.kube.client import KubeClient
from fairlead.kube.kinds import WATCHED, Key
from fairlead.kube.optional import OptionalKinds
from fairlead.kube.reflector import WATCH_ERRORS
from fairlead.kube.resources import ResourceCache

_log = logging.getLogger(__name__)


async def audit_caches(
    settings: OperatorSettings, kube: KubeClient, resources: ResourceCache, children: ChildCache,
    optional: OptionalKinds, health: Health,
) -> None:  # fmt: skip
    """Audit the caches every `audit_seconds` and repair them, until cancelled."""
    while True:
        await asyncio.sleep(settings.audit_seconds)
        try:
            for namespace in settings.watched_namespaces or (None,):
                for kind in WATCHED:
                    if await audit(kube, resources, kind, namespace, None, metadata_only=False):
                        _log.warning("a watch of %s lost an event; the cache was repaired", kind.plural)
                for kind, metadata_only in CHILDREN:
                    if await audit(kube, children, kind, namespace, SELECTOR, metadata_only):
                        _log.warning("a watch of %s lost an event; the cache was repaired", kind.plural)
            for kind, namespace in tuple(optional.watched()):
                if await audit(kube, children, kind, namespace, SELECTOR, metadata_only=False):
                    _log.warning("a watch of %s lost an event; the cache was repaired", kind.plural)
            health.last_audit = time.monotonic()
        except WATCH_ERRORS as error:
            _log.warning("the audit of the caches failed, retrying later: %s", error)
        resources.purge()
        children.purge()


async def resync(settings: OperatorSettings, resources: ResourceCache, queue: KeyedQueue[Key]) -> None:
    """Reconcile every resource every `resync_seconds`; an unchanged one causes no write."""
    while True:
        await asyncio.sleep(settings.resync_seconds)
        for key in resources:
            queue.add(key)
