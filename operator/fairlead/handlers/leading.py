"""What the operator does while it leads: watch, reconcile, resync, renew its lease."""

import asyncio
import time
from contextlib import suppress

import aiohttp

from fairlead.handlers.health import Health
from fairlead.handlers.leader import LeaderElection
from fairlead.handlers.queue import KeyedQueue
from fairlead.handlers.reconcile import Key
from fairlead.handlers.resync import resync
from fairlead.handlers.settings import OperatorSettings
from fairlead.handlers.watching import watch
from fairlead.kube.client import KubeClient
from fairlead.kube.errors import ApiError


async def lead(
    settings: OperatorSettings, kube: KubeClient, queue: KeyedQueue[Key], health: Health, stop: asyncio.Event
) -> int:
    """Wait to lead, then watch and work; returns 1 when the lease was lost."""
    election = None
    if settings.lease_namespace:
        election = LeaderElection(kube, settings.lease_namespace, settings.identity)
        await election.acquire()
    health.leading, health.last_resync = True, time.monotonic()
    watching = asyncio.create_task(watch(settings, kube.config, queue, stop))
    work = [
        asyncio.create_task(queue.run(settings.workers)),
        asyncio.create_task(resync(settings, kube, queue, health)),
    ]
    if election:
        work.append(asyncio.create_task(election.hold()))
    try:
        done, _ = await asyncio.wait([watching, *work], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        return 1
    finally:
        for task in (watching, *work):
            task.cancel()
        await asyncio.wait(work)
        if election:
            with suppress(ApiError, aiohttp.ClientError, TimeoutError):
                await election.release()
