"""The server process: serves HTTP from the start, loads the graph in the background, and drains on SIGTERM."""

import asyncio
import logging
from pathlib import Path
from types import FrameType

import uvicorn
from fairlead_contracts.termination import GraphFailure, GraphFailureReport, write_report

from .errors import InvalidGraph
from .http import App
from .service import Service
from .settings import Settings
from .spec import load_spec

_log = logging.getLogger(__name__)


class _DrainingServer(uvicorn.Server):
    """Uvicorn that accepts requests for a while after SIGTERM, because Services remove a pod with a delay."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Become unready, and stop accepting requests after `drain_seconds`, or at once on a second signal."""
        if self._service.draining:
            super().handle_exit(sig, frame)
            return
        self._service.draining = True
        _log.info("draining", extra={"signal": sig})
        asyncio.get_running_loop().call_later(self._service.settings.drain_seconds, self.stop)

    def stop(self) -> None:
        """Stop the server once the requests in flight are answered."""
        self.should_exit = True


async def serve(graph_file: Path, port: int, settings: Settings) -> int:
    """Serve a graph until SIGTERM; return the exit status, 1 if the graph is invalid."""
    service = Service(load_spec(graph_file), settings)
    config = uvicorn.Config(
        App(service),
        host=settings.bind_address,
        port=port,
        lifespan="off",
        log_config=None,
        access_log=False,
        # Longer than the idle timeout of pooled clients and load balancers: they must close connections first.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(settings.grace_seconds) or None,
    )
    server = _DrainingServer(config, service)
    loading = asyncio.create_task(_load(service, server))
    await server.serve()
    failure = loading.exception() if loading.done() and not loading.cancelled() else None
    loading.cancel()
    await asyncio.gather(loading, return_exceptions=True)
    await service.close()
    if failure is not None:
        raise failure
    return 0 if server.started else 1


async def _load(service: Service, server: _DrainingServer) -> None:
    try:
        await service.load()
        await service.watch_readiness()
    finally:
        # An error that ends this task is raised once the server has stopped.
        server.stop()


def report_invalid_graph(error: InvalidGraph, settings: Settings | None) -> None:
    """Log why the graph is invalid, and write it to the termination log."""
    _log.error("invalid graph", extra={"at": error.at, "reason": error.problem})
    if settings is not None and settings.termination_log:
        report = GraphFailureReport(failure=GraphFailure(at=error.at, message=str(error)))
        write_report(Path(settings.termination_log), report, settings.termination_bytes)
