"""Belt and braces: caches are compared with the API server, and every resource is reconciled now and then."""

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
from fairlead.kube.reflector import WATCH_ERRORS
from fairlead.kube.resources import ResourceCache

_log = logging.getLogger(__name__)


async def audit_caches(
    settings: OperatorSettings, kube: KubeClient, resources: ResourceCache, children: ChildCache, health: Health
) -> None:
    """Find out every `audit_seconds` whether a watch lost something, and make it good; until cancelled."""
    while True:
        await asyncio.sleep(settings.audit_seconds)
        try:
            for namespace in settings.watched_namespaces or (None,):
                for kind in WATCHED:
                    if await audit(kube, resources, kind, namespace, None, metadata_only=False):
                        _log.warning("a watch of %s had lost an event", kind.plural)
                for kind, metadata_only in CHILDREN:
                    if await audit(kube, children, kind, namespace, SELECTOR, metadata_only):
                        _log.warning("a watch of %s had lost an event", kind.plural)
            health.last_audit = time.monotonic()
        except WATCH_ERRORS as error:
            _log.warning("comparing the caches failed, trying again later: %s", error)
        resources.purge()
        children.purge()


async def resync(settings: OperatorSettings, resources: ResourceCache, queue: KeyedQueue[Key]) -> None:
    """Reconcile every resource each `resync_seconds`, without a request for one that is as it should be."""
    while True:
        await asyncio.sleep(settings.resync_seconds)
        for key in resources:
            queue.add(key)
