"""A server of one model, from its start to its end."""

import asyncio

from .data_plane import DataPlane
from .processes import ModelProcesses
from .server import Server


async def serve_model(plane: DataPlane, processes: ModelProcesses, server: Server, address: str, port: int) -> None:
    """Serve the model of some processes until SIGTERM; raise CannotServe if it cannot be served."""
    plane.processes = processes
    running = asyncio.create_task(_run(processes, server))
    try:
        await server.serve(address, port)
    finally:
        failure = running.exception() if running.done() and not running.cancelled() else None
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    if failure is not None:
        raise failure


async def _run(processes: ModelProcesses, server: Server) -> None:
    try:
        await processes.run()
    finally:
        # An error that ends this task is raised once the server has stopped.
        server.stop()
