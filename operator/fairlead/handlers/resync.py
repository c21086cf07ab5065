"""Belt and braces: every resource is queued now and then, so that a change that was missed is made good."""

import asyncio
import logging
import time

import aiohttp

from fairlead.handlers.health import Health
from fairlead.handlers.queue import KeyedQueue
from fairlead.handlers.reconcile import Key
from fairlead.handlers.settings import OperatorSettings
from fairlead.kube.client import KubeClient
from fairlead.kube.errors import ApiError
from fairlead.kube.kinds import WATCHED

_log = logging.getLogger(__name__)


async def resync(settings: OperatorSettings, kube: KubeClient, queue: KeyedQueue[Key], health: Health) -> None:
    """List and queue every resource each `resync_seconds`, until cancelled."""
    while True:
        await asyncio.sleep(settings.resync_seconds)
        try:
            for namespace in settings.watched_namespaces or (None,):
                for kind in WATCHED:
                    for item in await kube.list(kind, namespace):
                        await queue.add(Key(kind.kind, item["metadata"]["namespace"], item["metadata"]["name"]))
            health.last_resync = time.monotonic()
        except (ApiError, aiohttp.ClientError, TimeoutError) as error:
            _log.warning("resync failed, trying again later: %s", error)
