"""The work of the leader: watch, reconcile, audit, renew the lease."""

import asyncio
from contextlib import suppress

import aiohttp

from fairlead.handlers.health import Health
from fairlead.handlers.leader import LeaderElection
from fairlead.handlers.queue import KeyedQueue
from fairlead.handlers.reconcile import Context
from fairlead.handlers.settings import OperatorSettings
from fairlead.handlers.upkeep import audit_caches, resync
from fairlead.handlers.watching import watch
from fairlead.kube.children import CHILDREN, SELECTOR
from fairlead.kube.client import KubeClient
from fairlead.kube.errors import ApiError
from fairlead.kube.kinds import Key
from fairlead.kube.reflector import Reflector


async def lead(
    settings: OperatorSettings, context: Context, queue: KeyedQueue[Key], health: Health, stop: asyncio.Event
) -> int:
    """Wait to become the leader, then run; returns 1 if the lease was lost."""
    if not settings.lease_namespace:
        return await _lead(settings, context, queue, health, stop, None)
    # connections of its own: a renewal must not wait behind the writes of large jobs
    async with KubeClient(context.writer.kube.config) as kube:
        election = LeaderElection(kube, settings.lease_namespace, settings.identity, settings.lease_name)
        await election.acquire()
        context.writer.kube.may_write = election.may_write
        return await _lead(settings, context, queue, health, stop, election)


async def _lead(
    settings: OperatorSettings,
    context: Context,
    queue: KeyedQueue[Key],
    health: Health,
    stop: asyncio.Event,
    election: LeaderElection | None,
) -> int:
    """Work while leading, and give the lease back at the end; returns 1 once the lease is lost."""
    health.start()
    tasks = [asyncio.create_task(_work(settings, context, queue, health, stop))]
    if election:
        tasks.append(asyncio.create_task(election.hold()))
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        return 1
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        if election:
            with suppress(ApiError, aiohttp.ClientError, TimeoutError):
                await election.release()


async def _work(
    settings: OperatorSettings, context: Context, queue: KeyedQueue[Key], health: Health, stop: asyncio.Event
) -> None:
    """Fill the cache of children before reconciling, so that no plan is based on an incomplete cache."""
    writer, resources = context.writer, context.resources
    reflectors = [
        Reflector(writer.kube, writer.children, kind, namespace, SELECTOR, metadata_only)
        for kind, metadata_only in CHILDREN
        for namespace in settings.watched_namespaces or (None,)
    ]
    async with asyncio.TaskGroup() as group:
        for reflector in reflectors:
            group.create_task(reflector.run())
        for reflector in reflectors:
            await reflector.synced.wait()
        group.create_task(queue.run(settings.workers))
        group.create_task(context.sources.reports.run())
        group.create_task(audit_caches(settings, writer.kube, resources, writer.children, health))
        group.create_task(resync(settings, resources, queue))
        watching = asyncio.create_task(watch(settings, writer.kube.config, resources, stop))
        # kopf takes seconds to close its streams: do not wait for it
        group.create_task(asyncio.Event().wait()).add_done_callback(lambda _: watching.cancel())
