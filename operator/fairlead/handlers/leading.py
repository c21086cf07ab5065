"""The work of the leader: watch, reconcile, audit, renew the lease."""

import asyncio
from collections.abc import Sequence

from fairlead.core import names
from fairlead.handlers import metrics
from fairlead.handlers.health import Health
from fairlead.handlers.leader import LeaderElection
from fairlead.handlers.neighbors import warn_of_neighbors
from fairlead.handlers.queue import KeyedQueue
from fairlead.handlers.reconcile import Context
from fairlead.handlers.settings import OperatorSettings
from fairlead.handlers.upkeep import audit_caches, resync
from fairlead.handlers.watching import watch
from fairlead.kube.children import CHILDREN, SELECTOR
from fairlead.kube.client import KubeClient
from fairlead.kube.kinds import Key
from fairlead.kube.reflector import Reflector

_END_SECONDS = 5.0
"""How long the work may take to end, of the 30 seconds that a pod has."""


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
        return await _lead(settings, context, queue, health, stop, election, _find_scopes(settings, kube))


def _find_scopes(settings: OperatorSettings, kube: KubeClient) -> list[LeaderElection]:
    """Return the leases by which installations notice each other, held in the name of the installation.

    Cluster-wide there is one, where tenants cannot write. Else there is one in each watched namespace, where its users
    can, so that it only warns.
    """
    installation = _name_installation(settings)
    places = settings.watched_namespaces or (settings.scope_namespace,)
    return [LeaderElection(kube, place, installation, names.SCOPE_LEASE) for place in places]


def _name_installation(settings: OperatorSettings) -> str:
    return f"{settings.lease_namespace}/{settings.lease_name}"


async def _lead(
    settings: OperatorSettings,
    context: Context,
    queue: KeyedQueue[Key],
    health: Health,
    stop: asyncio.Event,
    election: LeaderElection | None,
    scopes: Sequence[LeaderElection] = (),
) -> int:
    """Work while leading, and give the lease back at the end; returns 1 once the lease is lost."""
    tasks = [asyncio.create_task(election.hold())] if election else []
    exclusive = not settings.watched_namespaces
    try:
        for scope in scopes if exclusive else ():
            acquiring = asyncio.create_task(scope.acquire())
            tasks.append(acquiring)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not acquiring.done():
                return 1
            tasks[-1] = asyncio.create_task(scope.hold())
        held = [election, *scopes] if election and exclusive else [election] if election else []
        context.writer.kube.may_write = lambda: all(lease.may_write() for lease in held)
        health.start()
        metrics.LEADER.set(1)
        tasks += [asyncio.create_task(scope.claim()) for scope in scopes if not exclusive]
        if election and exclusive:
            tasks.append(asyncio.create_task(warn_of_neighbors(context.writer.kube, _name_installation(settings))))
        tasks.append(asyncio.create_task(_work(settings, context, queue, health, stop)))
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        return 1
    finally:
        metrics.LEADER.set(0)
        for task in tasks:
            task.cancel()
        unfinished = (await asyncio.wait(tasks, timeout=_END_SECONDS))[1] if tasks else ()
        # what has not ended may still write, which is what the lease is for
        if election and not unfinished:
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
        group.create_task(context.sources.optional.run())
        group.create_task(
            audit_caches(settings, writer.kube, resources, writer.children, context.sources.optional, health)
        )
        group.create_task(resync(settings, resources, queue))
        watching = asyncio.create_task(watch(settings, writer.kube.config, resources, stop))
        # kopf takes seconds to close its streams: do not wait for it
        group.create_task(asyncio.Event().wait()).add_done_callback(lambda _: watching.cancel())
