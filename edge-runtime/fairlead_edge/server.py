"""The HTTP side of the runtime: one bundle, in front of the model process."""

import asyncio
import logging
import sys
from collections.abc import Callable

from fairlead_serving.data_plane import DataPlane
from fairlead_serving.limits import Limits
from fairlead_serving.one_model import serve_model
from fairlead_serving.open_inference_app import App
from fairlead_serving.processes import ModelProcesses
from fairlead_serving.server import Server
from fairlead_serving.supervisor import CannotServe

from . import __version__
from .bundle import Bundle
from .errors import InvalidBundle

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.02
_COMMAND = (sys.executable, "-m", "fairlead_edge.model_process")
DEFAULTS = Limits(drain_seconds=0.5, max_connections=256, max_connections_per_client=128, max_in_flight=64)
"""A device has few clients, and no Service whose endpoints need time for an update."""


async def serve(bundle: Bundle, threads: int, address: str, port: int, limits: Limits) -> None:
    """Serve a bundle until SIGTERM; raise InvalidBundle if it cannot be served."""
    plane = DataPlane(bundle.description.name, bundle.digest, limits.max_in_flight)
    server = Server(App(plane, "fairlead-edge", __version__, binary=True), limits)
    _log.info("serving %s on http://%s:%d", bundle.description.name, address, port)
    try:
        await serve_model(plane, build_process(bundle, threads, limits), server, address, port)
    except CannotServe as error:
        raise InvalidBundle(str(error)) from None


async def describe(bundle: Bundle, limits: Limits) -> bytes:
    """Load a bundle in a model process, run it once, and return V2's metadata as JSON; raise InvalidBundle."""
    process = build_process(bundle, 1, limits)
    running = asyncio.create_task(process.run())
    await wait_ready(process, running)
    process.close()
    try:
        await running
    except CannotServe as error:
        raise InvalidBundle(str(error)) from None
    assert process.facts is not None
    return process.facts[1]


async def wait_ready(process: ModelProcesses, running: "asyncio.Task[None]") -> None:
    """Wait until a process that runs answers, or has ended."""
    while not running.done() and process.unready is not None:
        await asyncio.wait([running], timeout=_POLL_SECONDS)


def build_process(
    bundle: Bundle, threads: int, limits: Limits, restarted: Callable[[str], None] | None = None
) -> ModelProcesses:
    """Prepare the process of a bundle's model; `restarted` gets the cause of each replacement."""
    description = bundle.description.to_text()
    config = {
        "description": description,
        "digest": bundle.digest,
        "reference": bundle.reference.decode("utf-8", "replace"),
        "files": {name: len(content) for name, content in bundle.files.items()},
        "threads": threads,
        "limit": limits.max_response_bytes,
    }
    return ModelProcesses(_COMMAND, config, b"".join(bundle.files.values()), limits, restarted=restarted)
