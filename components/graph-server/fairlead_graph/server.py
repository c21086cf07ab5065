"""The process: serves HTTP from the first moment, loads the graph beside it, and drains on SIGTERM."""

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
    """Uvicorn, but still taking requests for a while after SIGTERM: Services learn of a pod's end with a delay."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop being ready at once and taking requests after drain_seconds; at once on a second signal."""
        if self._service.draining:
            super().handle_exit(sig, frame)
            return
        self._service.draining = True
        _log.info("draining", extra={"signal": sig})
        asyncio.get_running_loop().call_later(self._service.settings.drain_seconds, self.stop)

    def stop(self) -> None:
        """End once the requests under way have ended."""
        self.should_exit = True


async def serve(graph_file: Path, port: int, settings: Settings) -> int:
    """Serve a graph until SIGTERM; return the exit status: 1 when the graph is refused."""
    service = Service(load_spec(graph_file), settings)
    config = uvicorn.Config(
        App(service),
        host=settings.bind_address,
        port=port,
        lifespan="off",
        log_config=None,
        access_log=False,
        # Longer than what pooled clients and load balancers keep idle connections: they must be the first to let go.
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
        # Whatever ends this task, its reason is raised once the server has ended.
        server.stop()


def report_refusal(error: InvalidGraph, settings: Settings | None) -> None:
    """Log why the graph is rejected, and leave it where the kubelet finds it."""
    _log.error("graph refused", extra={"at": error.at, "reason": error.problem})
    if settings is not None and settings.termination_log:
        report = GraphFailureReport(failure=GraphFailure(at=error.at, message=str(error)))
        write_report(Path(settings.termination_log), report, settings.termination_bytes)
