"""The operator's program: settings, connections, health, leading, graceful stop."""

import asyncio
import logging
import os
import sys
from contextlib import AsyncExitStack

import aiohttp

from fairlead.handlers import metrics
from fairlead.handlers.health import Health, serve
from fairlead.handlers.leading import lead
from fairlead.handlers.logs import set_up_logging
from fairlead.handlers.queue import KeyedQueue
from fairlead.handlers.reconcile import Context, Key, reconcile
from fairlead.handlers.settings import OperatorSettings, read_settings
from fairlead.handlers.signals import stop_on_signals
from fairlead.kube.client import KubeClient
from fairlead.kube.config import ConfigError, load_config
from fairlead.kube.errors import ApiError

_log = logging.getLogger(__name__)


def main() -> None:
    """Run the operator until SIGTERM or SIGINT; exits 1 when it lost its lease, 2 on bad settings."""
    try:
        settings = read_settings()
        kube = KubeClient(load_config())
    except (ValueError, ConfigError) as error:
        sys.stderr.write(f"fairlead-operator: {error}\n")
        sys.exit(2)
    set_up_logging(settings.log_format)
    code = asyncio.new_event_loop().run_until_complete(_run(settings, kube))
    logging.shutdown()
    # kopf takes several seconds to close its streams; the work has ended and the lease is released by now
    os._exit(code)


async def _run(settings: OperatorSettings, kube: KubeClient) -> int:
    stop = asyncio.Event()
    stop_on_signals(stop)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(kube)
        # a connection that is kept would go on reaching whatever it reached before a Service's routes were made
        connector = aiohttp.TCPConnector(force_close=True)
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        context = Context(kube, http, settings)
        queue: KeyedQueue[Key] = KeyedQueue(lambda key: reconcile(context, key), _log_failure)
        health = Health(queue, settings.resync_seconds)
        runner = await serve(health, settings.port, settings.bind_address)
        stack.push_async_callback(runner.cleanup)
        leading = asyncio.create_task(lead(settings, kube, queue, health, stop))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({leading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if leading.done():
            return leading.result()
        leading.cancel()
        await asyncio.wait({leading})
        return 0


def _log_failure(key: Key, error: Exception, delay: float) -> None:
    metrics.RECONCILES.labels(key.kind, "failed").inc()
    expected = isinstance(error, ApiError | aiohttp.ClientError | TimeoutError)
    _log.warning(
        "%s %s/%s: retrying in %.1f s: %s: %s", *key, delay, type(error).__name__, error,
        exc_info=None if expected else error,
    )  # fmt: skip


if __name__ == "__main__":
    main()
