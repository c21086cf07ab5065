"""The operator's entry point: settings, connections, health, leadership, graceful shutdown."""

import asyncio
import logging
import os
import sys
from contextlib import AsyncExitStack

import aiohttp
import uvloop
from prometheus_client import REGISTRY

from fairlead.handlers import metrics
from fairlead.handlers.health import Health, serve
from fairlead.handlers.job_metrics import JobCollector
from fairlead.handlers.leading import lead
from fairlead.handlers.logs import set_up_logging
from fairlead.handlers.queue import KeyedQueue
from fairlead.handlers.reconcile import Context, reconcile
from fairlead.handlers.settings import OperatorSettings, read_settings
from fairlead.handlers.signals import stop_on_signals
from fairlead.kube.children import ChildCache
from fairlead.kube.client import KubeClient
from fairlead.kube.config import ConfigError, load_config
from fairlead.kube.devices import GpuServers
from fairlead.kube.errors import ApiError, NotLeading
from fairlead.kube.execute import Writer
from fairlead.kube.inquiries import Inquiries
from fairlead.kube.kinds import Key, Kind
from fairlead.kube.monitoring import MonitoredServers
from fairlead.kube.observe import Sources
from fairlead.kube.optional import OptionalKinds
from fairlead.kube.prometheus import Prometheus
from fairlead.kube.reports import Rates, Reports
from fairlead.kube.resources import ResourceCache
from fairlead.kube.sampler import SECONDS as SAMPLER_SECONDS
from fairlead.kube.sampler import Samplers
from fairlead.kube.traffic import TrafficServers

_log = logging.getLogger(__name__)

_SETTLE_SECONDS, _BUSY_SETTLE_SECONDS = 0.02, 0.3
"""Changes of children are batched for this long: the pods of a job start together.

While all workers are taken it is longer, so that the pods of new resources are created before the status of others is
written.
"""

_ANSWER_SECONDS = 10.0
"""How long a Service may take to respond, including the wait for those of the same namespace."""


def main() -> None:
    """Run the operator until SIGTERM or SIGINT; exits 1 if it loses its lease, 2 on invalid settings."""
    try:
        settings = read_settings()
        kube = KubeClient(load_config(), _count_request)
    except (ValueError, ConfigError) as error:
        sys.stderr.write(f"fairlead-operator: {error}\n")
        sys.exit(2)
    set_up_logging(settings.log_format)
    code = uvloop.new_event_loop().run_until_complete(_run(settings, kube))
    logging.shutdown()
    # kopf takes several seconds to close its streams; all work is done and the lease is released
    os._exit(code)


async def _run(settings: OperatorSettings, kube: KubeClient) -> int:
    stop = asyncio.Event()
    stop_on_signals(stop)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(kube)
        # a kept-alive connection would bypass later changes of a Service's routes
        connector = aiohttp.TCPConnector(force_close=True)
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        queue: KeyedQueue[Key] = KeyedQueue(lambda key: reconcile(context, key), _log_failure, _note_wait)
        context = _build_context(settings, kube, http, queue)
        REGISTRY.register(JobCollector(context.resources, settings.metrics_jobs))
        health = Health(queue, settings.audit_seconds)
        runner = await serve(health, settings.port, settings.bind_address)
        stack.push_async_callback(runner.cleanup)
        leading = asyncio.create_task(lead(settings, context, queue, health, stop))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({leading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if leading.done():
            return leading.result()
        leading.cancel()
        await asyncio.wait({leading})
        return 0


def _build_context(
    settings: OperatorSettings, kube: KubeClient, http: aiohttp.ClientSession, queue: KeyedQueue[Key]
) -> Context:
    """Connect the caches to the queue, so that changes trigger reconciles."""
    children = ChildCache(lambda key: queue.add(key, _settle_seconds(queue)))
    rates = Rates(
        settings.progress_seconds, settings.progress_reads_per_second,
        settings.registration_reads_per_second, settings.progress_writes_per_second,
    )  # fmt: skip
    reports = Reports(http, queue.add, rates)
    store = Inquiries(queue.add, settings.store_seconds)
    answers = Inquiries(queue.add, _ANSWER_SECONDS, per_namespace=16, source="the Service")
    traffic = TrafficServers(http, kube, queue.add)
    prometheus = Prometheus(http, settings.prometheus_url, queue.add)
    monitors, gpus = MonitoredServers(http, queue.add), GpuServers(http, queue.add)
    optional = OptionalKinds(kube, children, settings.watched_namespaces)
    samplers = Samplers(Inquiries(queue.add, SAMPLER_SECONDS, per_namespace=1, source="the sampler"))
    resources = ResourceCache(queue.add)
    sources = Sources(
        children,
        resources,
        reports,
        store,
        answers,
        traffic,
        prometheus,
        monitors,
        gpus,
        optional,
        samplers,
        http,
        settings,
    )
    return Context(Writer(kube, children), resources, sources)


def _settle_seconds(queue: KeyedQueue[Key]) -> float:
    return _BUSY_SETTLE_SECONDS if queue.busy else _SETTLE_SECONDS


def _count_request(method: str, kind: Kind) -> None:
    metrics.REQUESTS.labels(method, kind.plural).inc()


def _note_wait(key: Key, seconds: float) -> None:
    metrics.WAITED.labels(key.kind).observe(seconds)


def _log_failure(key: Key, error: Exception, delay: float) -> None:
    metrics.RECONCILES.labels(key.kind, "failed").inc()
    expected = isinstance(error, ApiError | NotLeading | aiohttp.ClientError | TimeoutError)
    _log.warning(
        "%s %s/%s: retrying in %.1f s: %s: %s", *key, delay, type(error).__name__, error,
        exc_info=None if expected else error,
    )  # fmt: skip


if __name__ == "__main__":
    main()
