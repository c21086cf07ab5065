"""The server process: serves HTTP from the start, while the model process loads the graph, and drains on SIGTERM."""

import asyncio
import hashlib
import logging
import sys
import tempfile
from collections.abc import Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fairlead_contracts.graph import GraphDocument
from fairlead_contracts.termination import GraphFailure, GraphFailureReport, write_report
from fairlead_serving.data_plane import DataPlane
from fairlead_serving.processes import ModelProcesses
from fairlead_serving.server import Server
from fairlead_serving.supervisor import CannotServe

from .auth.guard import Guard, build_guard
from .devices import DeviceCollector
from .errors import InvalidGraph
from .http import App
from .metrics import Metrics
from .models import fetch_models
from .monitor.control import Monitoring
from .monitor.metrics import MonitorMetrics
from .protocols.names import FEEDBACK
from .settings import Settings
from .spec import load_spec
from .state import StateFile
from .traffic.parts import TrafficParts, build_traffic

_log = logging.getLogger(__name__)
_COMMAND = (sys.executable, "-m", "fairlead_graph.model_process")


async def serve(graph_file: Path, port: int, settings: Settings) -> None:
    """Serve a graph until SIGTERM; raise InvalidGraph if it cannot be served."""
    spec = load_spec(graph_file)
    version = hashlib.sha256(spec.to_text().encode()).hexdigest()[:12]
    metrics = Metrics(spec)
    traffic = await build_traffic(settings, metrics)
    plane = DataPlane(spec.deployment, version, settings.limits.max_in_flight, traffic.observer)
    metrics.watch_in_flight(lambda: plane.in_flight)
    metrics.registry.register(DeviceCollector(plane))
    monitoring = Monitoring(plane, MonitorMetrics(metrics.registry)) if spec.monitor else None
    guard = build_guard(settings, metrics.registry, traffic.key)
    app = App(plane, metrics, traffic.http, traffic.control, monitoring)
    server = Server(app, settings.limits, guard.check_request if guard else None)
    others = _build_others(plane, settings, server, traffic, guard)
    loading = asyncio.create_task(_run_models(spec, settings, plane, metrics, server))
    reading = asyncio.create_task(monitoring.run()) if monitoring else None
    try:
        await asyncio.gather(server.serve(settings.nodes.bind_address, port), *others)
    finally:
        await traffic.close()
        failure = loading.exception() if loading.done() and not loading.cancelled() else None
        tasks = [task for task in (loading, reading) if task is not None]
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


async def _run_models(
    spec: GraphDocument, settings: Settings, plane: DataPlane, metrics: Metrics, server: Server
) -> None:
    """Fetch the models, and keep the model processes running with them; raise InvalidGraph."""
    try:
        # The files are kept, so that a model process can be replaced when the store cannot be reached.
        with tempfile.TemporaryDirectory(prefix="fairlead-models-") as place, ExitStack() as stack:
            models = await asyncio.to_thread(fetch_models, spec.graph, Path(place))
            config = {
                "settings": settings.nodes.to_json(),
                "models": {name: model.to_json() for name, model in models.items()},
                "version": plane.version,
            }
            body = spec.to_text().encode()
            plane.processes = ModelProcesses(
                _COMMAND, config, body, settings.limits, settings.processes, FEEDBACK, metrics.observe_restart,
                plane.observe_reply,
            )  # fmt: skip
            if folder := settings.nodes.state_folder:
                state = StateFile(Path(folder), plane.version)
                plane.processes.keep_state(state.read(), state.keep)
                stack.callback(state.write)
            await plane.processes.run()
    except CannotServe as error:
        raise InvalidGraph(error.at, error.problem) from None
    finally:
        # An error that ends this task is raised once the server has stopped.
        server.stop()


def report_invalid_graph(error: InvalidGraph, log: str | None, limit: int) -> None:
    """Log why the graph is invalid, and write it to the termination log, if there is one, within a limit of bytes."""
    _log.error("invalid graph", extra={"at": error.at, "reason": error.problem})
    if log:
        report = GraphFailureReport(failure=GraphFailure(at=error.at, message=str(error)))
        write_report(Path(log), report, limit)
