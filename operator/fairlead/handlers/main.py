"""The operator's program: settings, leader election, watches, workers, health, graceful stop."""

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import time
from contextlib import AsyncExitStack, suppress
from typing import Any

import aiohttp
import kopf

from fairlead.core.settings import Settings
from fairlead.handlers import metrics
from fairlead.handlers.health import Health, serve
from fairlead.handlers.leader import LeaderElection
from fairlead.handlers.queue import KeyedQueue
from fairlead.handlers.reconcile import Context, Key, reconcile
from fairlead.handlers.watching import build_registry
from fairlead.kube.client import KubeClient
from fairlead.kube.config import ConfigError, load_config
from fairlead.kube.errors import ApiError
from fairlead.kube.kinds import WATCHED

_log = logging.getLogger(__name__)


def main() -> None:
    """Run the operator until SIGTERM or SIGINT; exits 1 when it lost its lease, 2 on bad settings."""
    try:
        settings = Settings.from_environment(dict(os.environ))
        kube = KubeClient(load_config())
    except (ValueError, ConfigError) as error:
        sys.exit(f"fairlead-operator: {error}")
    _set_up_logging(settings.log_format)
    code = asyncio.new_event_loop().run_until_complete(_run(settings, kube))
    logging.shutdown()
    # kopf takes several seconds to close its streams; the work has ended and the lease is released by now
    os._exit(code)


async def _run(settings: Settings, kube: KubeClient) -> int:
    stop = asyncio.Event()
    _stop_on_signals(stop)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(kube)
        # a connection that is kept would go on reaching whatever it reached before a Service's routes were made
        connector = aiohttp.TCPConnector(force_close=True)
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        context = Context(kube, http, settings)
        queue: KeyedQueue[Key] = KeyedQueue(lambda key: reconcile(context, key), _log_failure)
        health = Health(queue, settings.resync_seconds)
        # in the local cluster a pod's address is given; a real pod binds every address it has
        runner = await serve(health, settings.port, os.environ.get("FAIRLEAD_BIND_ADDRESS"))
        stack.push_async_callback(runner.cleanup)
        leading = asyncio.create_task(_lead(settings, kube, queue, health, stop))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({leading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if leading.done():
            return leading.result()
        leading.cancel()
        await asyncio.wait({leading})
        return 0


def _stop_on_signals(stop: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


async def _lead(
    settings: Settings, kube: KubeClient, queue: KeyedQueue[Key], health: Health, stop: asyncio.Event
) -> int:
    """Wait to lead, then watch and work; returns 1 when the lease was lost."""
    election = None
    if settings.lease_namespace:
        identity = os.environ.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}"
        election = LeaderElection(kube, settings.lease_namespace, identity)
        await election.acquire()
    health.leading, health.last_resync = True, time.monotonic()
    watching = asyncio.create_task(_watch(settings, kube, queue, stop))
    work = [
        asyncio.create_task(queue.run(settings.workers)),
        asyncio.create_task(_resync(settings, kube, queue, health)),
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


async def _watch(settings: Settings, kube: KubeClient, queue: KeyedQueue[Key], stop: asyncio.Event) -> None:
    namespaces = settings.watched_namespaces
    ready = asyncio.Event()

    async def take_signals_back() -> None:
        # kopf takes them over when it starts, and would go on working for seconds after one
        await ready.wait()
        _stop_on_signals(stop)

    async with asyncio.TaskGroup() as group:
        group.create_task(take_signals_back())
        group.create_task(
            kopf.operator(
                registry=build_registry(queue, kube.config),
                clusterwide=not namespaces,
                namespaces=namespaces,
                standalone=True,
                ready_flag=ready,
            )
        )


async def _resync(settings: Settings, kube: KubeClient, queue: KeyedQueue[Key], health: Health) -> None:
    """Queue every resource now and then: a change that was missed is made good."""
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


def _log_failure(key: Key, error: Exception, delay: float) -> None:
    metrics.RECONCILES.labels(key.kind, "failed").inc()
    expected = isinstance(error, ApiError | aiohttp.ClientError | TimeoutError)
    _log.warning(
        "%s %s/%s: trying again in %.1f s: %s: %s", *key, delay, type(error).__name__, error,
        exc_info=None if expected else error,
    )  # fmt: skip


class _JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def _set_up_logging(log_format: str) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(
        _JsonFormatter() if log_format == "json" else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("kopf").setLevel(logging.WARNING)


if __name__ == "__main__":
    main()
