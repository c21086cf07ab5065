"""kopf's handlers: every change of a resource or of a child puts the owner's key on the queue."""

import asyncio
from collections.abc import Mapping
from typing import Any

import kopf

from fairlead.core import names
from fairlead.handlers.queue import KeyedQueue
from fairlead.handlers.reconcile import Key
from fairlead.handlers.settings import OperatorSettings
from fairlead.handlers.signals import stop_on_signals
from fairlead.kube.config import ClusterConfig
from fairlead.kube.kinds import DEPLOYMENT, POD, WATCHED, Kind

_CHILDREN = ((POD, names.JOB, "TrainingJob"), (POD, names.DEPLOYMENT, "ModelDeployment"),
             (DEPLOYMENT, names.DEPLOYMENT, "ModelDeployment"))  # fmt: skip


async def watch(settings: OperatorSettings, config: ClusterConfig, queue: KeyedQueue[Key], stop: asyncio.Event) -> None:
    """Run kopf: put the key of every changed resource on the queue, until cancelled."""
    namespaces = settings.watched_namespaces
    ready = asyncio.Event()

    async def take_signals_back() -> None:
        # kopf handles them from its start on, and would go on working for seconds after one
        await ready.wait()
        stop_on_signals(stop)

    async with asyncio.TaskGroup() as group:
        group.create_task(take_signals_back())
        group.create_task(
            kopf.operator(
                registry=build_registry(queue, config),
                clusterwide=not namespaces,
                namespaces=namespaces,
                standalone=True,
                ready_flag=ready,
            )
        )


def build_registry(queue: KeyedQueue[Key], config: ClusterConfig) -> kopf.OperatorRegistry:
    """Return kopf's registry: login, settings, one event handler a kind."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(
            server=config.server,
            ca_data=config.ca.encode() if config.ca else None,
            insecure=not config.verify,
            token=config.bearer(),
            certificate_path=str(config.client_certificate) if config.client_certificate else None,
            private_key_path=str(config.client_key) if config.client_key else None,
        )

    @kopf.on.startup(registry=registry)
    def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.enabled = False
        settings.scanning.disabled = True
        settings.peering.standalone = True
        settings.watching.server_timeout = 270
        settings.watching.client_timeout = 300

    for kind in WATCHED:
        _watch_resource(registry, queue, kind)
    for kind, label, owner in _CHILDREN:
        _watch_children(registry, queue, kind, label, owner)
    return registry


def _watch_resource(registry: kopf.OperatorRegistry, queue: KeyedQueue[Key], kind: Kind) -> None:
    async def enqueue(*, name: str, namespace: str | None, **_: Any) -> None:
        await queue.add(Key(kind.kind, str(namespace), name))

    kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id=f"watch-{kind.plural}")(enqueue)


def _watch_children(
    registry: kopf.OperatorRegistry, queue: KeyedQueue[Key], kind: Kind, label: str, owner: str
) -> None:
    async def enqueue(*, namespace: str | None, labels: Mapping[str, str], **_: Any) -> None:
        await queue.add(Key(owner, str(namespace), labels[label]))

    kopf.on.event(
        kind.group, kind.version, kind.plural, registry=registry, id=f"{owner}-{kind.plural}".lower(),
        labels={label: kopf.PRESENT, names.MANAGED_BY: names.OPERATOR},
    )(enqueue)  # fmt: skip
