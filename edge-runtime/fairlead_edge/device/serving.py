"""Serve the releases of a device's folder over HTTP."""

import asyncio
import errno
import logging
from collections.abc import Coroutine, Sequence

from fairlead_artifacts.file_lock import FileLock
from fairlead_serving.data_plane import DataPlane
from fairlead_serving.limits import Limits
from fairlead_serving.open_inference_app import App
from fairlead_serving.server import Server

from .. import __version__
from ..errors import InputUnusable
from .folder import Folder
from .keeper import Keeper, Settings
from .telemetry import Requests, Telemetry, TelemetrySettings

_log = logging.getLogger(__name__)
_LOCK = "server"


async def serve_device(
    folder: Folder, address: str, port: int, limits: Limits, settings: Settings, telemetry: TelemetrySettings | None
) -> None:
    """Serve what the folder has, and what is offered there, until SIGTERM; raise InputUnusable or OSError."""
    lock = _lock(folder)
    requests = Requests()
    plane = DataPlane("model", "", limits.max_in_flight, requests)
    server = Server(App(plane, "fairlead-edge", __version__, binary=True), limits)
    _log.info("serving the releases of %s on http://%s:%d", folder.path, address, port)
    jobs = [Keeper(folder, plane, limits, settings).run()]
    if telemetry is not None:
        try:
            jobs.append(Telemetry(folder, plane, requests, telemetry).run())
        except OSError as error:  # which is no reason not to answer
            _log.error("there is no telemetry", extra={"reason": str(error)})
    keeping = asyncio.create_task(_run(jobs, server))
    try:
        await server.serve(address, port)
    finally:
        failure = keeping.exception() if keeping.done() and not keeping.cancelled() else None
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        if lock is not None:
            lock.close()
    if failure is not None:
        raise failure


def _lock(folder: Folder) -> FileLock | None:
    """Return the lock of the server, or None on a disk that can only be read; raise InputUnusable or OSError."""
    try:
        lock = folder.lock(_LOCK)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        _log.warning("the disk can only be read: nothing can be installed")
        return None
    if lock is None:
        raise InputUnusable(f"{folder.path}: another server serves this folder")
    return lock


async def _run(jobs: Sequence[Coroutine[None, None, None]], server: Server) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job)
    finally:
        # an error that ends this task is raised once the server has stopped
        server.stop()
