"""Watches of the custom resources with kopf, which fill the cache that reconciles read."""

import asyncio
import itertools
import logging
from collections.abc import Mapping
from typing import Any

from fairlead.handlers.kopf_import import kopf
from fairlead.handlers.settings import OperatorSettings
from fairlead.handlers.signals import stop_on_signals
from fairlead.kube.config import ClusterConfig
from fairlead.kube.kinds import WATCHED, Kind
from fairlead.kube.reflector import FOLLOW_SECONDS
from fairlead.kube.resources import ResourceCache

_log = logging.getLogger(__name__)

_SILENCE_SECONDS = 5.0
"""How long after its expected end a watch counts as stalled."""
_REQUEST_SECONDS = 20.0
"""How long a list or a discovery may take; kopf's default is five minutes."""
_BACKOFFS = (1.0, 2.0, 4.0, 8.0)
"""Seconds between the tries of a request; when all have failed, the watches are restarted. kopf's wait up to 21."""
_RESTART_SECONDS = 1.0


async def watch(
    settings: OperatorSettings, config: ClusterConfig, resources: ResourceCache, stop: asyncio.Event
) -> None:
    """Run kopf until cancelled and cache every change of the custom resources."""
    while True:
        try:
            await _run_kopf(settings, config, resources, stop)
        except Exception:  # noqa: BLE001 - kopf exits on an unknown watch error; a new list recovers from it
            _log.exception("the watches of the custom resources failed; restarting them")
        await asyncio.sleep(_RESTART_SECONDS)


async def _run_kopf(
    settings: OperatorSettings, config: ClusterConfig, resources: ResourceCache, stop: asyncio.Event
) -> None:
    namespaces = settings.watched_namespaces
    ready = asyncio.Event()

    async def restore_signal_handlers() -> None:
        # kopf installs its own at startup, and would keep running for seconds after a signal
        await ready.wait()
        stop_on_signals(stop)

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(restore_signal_handlers())
        try:
            await kopf.operator(
                registry=build_registry(resources, config),
                clusterwide=not namespaces,
                namespaces=namespaces,
                standalone=True,
                ready_flag=ready,
            )
        finally:
            waiting.cancel()


def build_registry(resources: ResourceCache, config: ClusterConfig) -> kopf.OperatorRegistry:
    """Return kopf's registry with login, settings and an event handler for each kind."""
    registry = kopf.OperatorRegistry()
    logins = itertools.count()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        number = next(logins)
        if number:  # the API server may reject the next ones, too
            await asyncio.sleep(_RESTART_SECONDS)
        return kopf.ConnectionInfo(
            # credentials that equal rejected ones count as rejected to kopf, which then ends, and sometimes hangs
            priority=number,
            server=config.server,
            ca_data=config.ca.encode() if config.ca else None,
            insecure=not config.verify,
            token=config.bearer(),
            certificate_path=str(config.client_certificate) if config.client_certificate else None,
            private_key_path=str(config.client_key) if config.client_key else None,
        )

    @kopf.on.startup(registry=registry)
    def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure_kopf(settings)

    for kind in WATCHED:
        _watch_kind(registry, resources, kind)
    return registry


def configure_kopf(settings: kopf.OperatorSettings) -> None:
    """Set kopf's settings: no writes, and no wait that is longer than a stalled watch may last."""
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.watching.server_timeout = int(FOLLOW_SECONDS)
    settings.watching.inactivity_timeout = FOLLOW_SECONDS + _SILENCE_SECONDS
    settings.watching.chunk_size = 500
    settings.networking.request_timeout = _REQUEST_SECONDS
    settings.networking.connect_timeout = _REQUEST_SECONDS
    settings.networking.error_backoffs = _BACKOFFS
    # how long a worker waits for its object's next event; idle workers need more memory than the object
    settings.queueing.idle_timeout = 0.5
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.persistence.progress_storage = kopf.StatusProgressStorage()


def _watch_kind(registry: kopf.OperatorRegistry, resources: ResourceCache, kind: Kind) -> None:
    async def keep(*, event: Mapping[str, Any], **_: Any) -> None:
        if event["type"] == "DELETED":
            resources.drop(event["object"])
        else:
            resources.put(kind, event["object"])

    kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id=f"watch-{kind.plural}")(keep)


class _NoDiffs(kopf.DiffBaseStorage):
    """Disables kopf's diffs, which would need a copy of every object."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None
