"""The server process: serves HTTP from the start, while the model process loads the graph, and drains on SIGTERM."""

import asyncio
import hashlib
import logging
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from fairlead_contracts.termination import GraphFailure, GraphFailureReport, write_report
from fairlead_serving.board import Board
from fairlead_serving.data_plane import DataPlane, Observer
from fairlead_serving.errors import Code
from fairlead_serving.parent import Past
from fairlead_serving.server import Server

from .auth.guard import Guard, build_guard
from .devices import DeviceCollector
from .errors import InvalidGraph
from .http import App
from .metrics import Metrics
from .monitor.control import Monitoring
from .monitor.metrics import MonitorMetrics
from .protocols.names import V2
from .running import Parts, run_models
from .settings import Settings
from .spec import load_spec
from .traffic.parts import TrafficParts, build_traffic

_log = logging.getLogger(__name__)
_BEAT_SECONDS = 0.5


async def serve(graph_file: Path, listening: socket.socket, settings: Settings, folder: Path, past: Past) -> None:
    """Serve a graph until SIGTERM; raise InvalidGraph if it cannot be served.

    `folder` keeps the models and what routers have learned for the process that comes after this one.
    """
    spec = load_spec(graph_file)
    version = hashlib.sha256(spec.to_text().encode()).hexdigest()[:12]
    metrics = Metrics(spec)
    traffic = await build_traffic(settings, metrics)
    plane = DataPlane(spec.deployment, version, settings.limits.max_in_flight, traffic.observer, past.board)
    _observe_past(past, metrics, traffic.observer)
    metrics.watch_in_flight(lambda: plane.in_flight)
    metrics.registry.register(DeviceCollector(plane))
    monitoring = Monitoring(plane, MonitorMetrics(metrics.registry)) if spec.monitor else None
    guard = build_guard(settings, metrics.registry, traffic.key)
    app = App(plane, metrics, traffic.http, traffic.control, monitoring)
    server = Server(app, settings.limits, guard.check_request if guard else None)
    others = _build_others(plane, settings, server, traffic, guard)
    loading = asyncio.create_task(run_models(Parts(spec, settings, plane, metrics, folder, past), server))
    beating = asyncio.create_task(_beat(past.board))
    reading = asyncio.create_task(monitoring.run()) if monitoring else None
    try:
        await asyncio.gather(server.serve_on(listening), *others)
    finally:
        await traffic.close()
        failure = loading.exception() if loading.done() and not loading.cancelled() else None
        tasks = [task for task in (loading, reading, beating) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if failure is not None:
        raise failure


def _build_others(
    plane: DataPlane, settings: Settings, server: Server, traffic: TrafficParts, guard: Guard | None
) -> list[Coroutine[Any, Any, None]]:
    """Return the servers of other protocols, which end with the HTTP server; raise OSError if a port is taken."""
    if settings.grpc.port is None:
        return []
    from .grpc_api import GrpcServer  # 25 MiB that a server without gRPC has no use for

    grpc = GrpcServer(plane, settings.limits, settings.grpc, settings.nodes.bind_address, traffic.grpc, guard)
    stopped = asyncio.Event()
    server.others.append(stopped)
    return [grpc.serve(server.stopping, stopped)]


async def _beat(board: Board) -> None:
    """Show the parent that the event loop goes on."""
    while True:
        board.beat()
        await asyncio.sleep(_BEAT_SECONDS)


def _observe_past(past: Past, metrics: Metrics, observer: Observer) -> None:
    """Count what has become of the processes before this one, and of their requests."""
    for cause, count in past.causes.items():
        for _ in range(count):
            metrics.observe_restart(cause)
    for _ in range(past.lost):
        observer.observe_request(V2, Code.INTERNAL, 0.0)


def report_invalid_graph(error: InvalidGraph, settings: Settings | None) -> None:
    """Log why the graph is invalid, and write it to the termination log."""
    _log.error("invalid graph", extra={"at": error.at, "reason": error.problem})
    if settings is not None and settings.termination_log:
        report = GraphFailureReport(failure=GraphFailure(at=error.at, message=str(error)))
        write_report(Path(settings.termination_log), report, settings.termination_bytes)
