"""The HTTP side of the runtime: V2's paths for one bundle, in front of the model process."""

import asyncio
import logging
import sys
from typing import Any

from fairlead_serving.data_plane import DataPlane
from fairlead_serving.errors import ServingError
from fairlead_serving.limits import Limits
from fairlead_serving.messages import HTTP_STATUS, Request, Response, json_response
from fairlead_serving.processes import ModelProcesses
from fairlead_serving.server import Server
from fairlead_serving.supervisor import CannotServe

from . import __version__
from .bundle import Bundle
from .errors import InvalidBundle

_log = logging.getLogger(__name__)
_COMMAND = (sys.executable, "-m", "fairlead_edge.model_process")
DEFAULTS = Limits(drain_seconds=0.5, max_connections=256, max_connections_per_client=128, max_in_flight=64)
"""A device has few clients, and no Service whose endpoints need time for an update."""


async def serve(bundle: Bundle, threads: int, address: str, port: int, limits: Limits) -> None:
    """Serve a bundle until SIGTERM; raise InvalidBundle if it cannot be served."""
    process = _build_process(bundle, threads, limits)
    plane = DataPlane(bundle.description.name, bundle.digest, limits.max_in_flight)
    plane.processes = process
    server = Server(App(plane), limits)
    running = asyncio.create_task(_run(process, server))
    _log.info("serving %s on http://%s:%d", bundle.description.name, address, port)
    try:
        await server.serve(address, port)
    finally:
        failure = running.exception() if running.done() and not running.cancelled() else None
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    if failure is not None:
        raise failure


async def describe(bundle: Bundle, limits: Limits) -> bytes:
    """Load a bundle in a model process, run it once, and return V2's metadata as JSON; raise InvalidBundle."""
    process = _build_process(bundle, 1, limits)
    running = asyncio.create_task(_run(process, None))
    while not running.done() and process.unready is not None:
        await asyncio.wait([running], timeout=0.02)
    process.close()
    await running
    assert process.facts is not None
    return process.facts[1]


class App:
    """The HTTP application."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        try:
            if request.method in ("GET", "HEAD"):
                return self._get(request.path)
            if request.method == "POST":
                return await self._post(request)
        except ServingError as error:
            return json_response({"error": str(error)}, HTTP_STATUS[error.code])
        return json_response({"error": f"method {request.method}: expected GET, HEAD or POST"}, 405, _ALLOW)

    def drain(self) -> None:
        """Become unready."""
        self._plane.drain()

    def give_up(self) -> None:
        """Fail the requests in flight."""
        self._plane.give_up()

    def _get(self, path: str) -> Response:
        model = self._strip(path)
        if path == "/v2/health/live":
            return json_response({"live": True})
        if path == "/v2/health/ready" or model == "/ready":
            reason = self._plane.unready
            document: dict[str, Any] = {"ready": reason is None}
            return json_response(document if reason is None else {**document, "reason": reason}, 503 if reason else 200)
        if path in ("/v2", "/v2/"):
            return json_response({"name": "fairlead-edge", "version": __version__, "extensions": []})
        if model == "":
            return Response(self._plane.describe())
        return json_response({"error": f"path {path}: not found"}, 404)

    async def _post(self, request: Request) -> Response:
        if self._strip(request.path) != "/infer":
            problem = f"path {request.path}: expected /v2/models/{self._plane.model}/infer"
            return json_response({"error": problem}, 404)
        _, content = await self._plane.infer("v2", {}, request.body)
        return Response(content)

    def _strip(self, path: str) -> str | None:
        """Return what follows /v2/models/{model}[/versions/{version}]; None for other paths."""
        model = f"/v2/models/{self._plane.model}"
        for prefix in (f"{model}/versions/{self._plane.version}", model):
            rest = path.removeprefix(prefix)
            if rest != path and (not rest or rest.startswith("/")):
                return rest
        return None


_ALLOW = [("Allow", "GET, HEAD, POST")]


def _build_process(bundle: Bundle, threads: int, limits: Limits) -> ModelProcesses:
    description = bundle.description.to_text()
    config = {
        "description": description,
        "digest": bundle.digest,
        "files": {name: len(content) for name, content in bundle.files.items()},
        "threads": threads,
        "limit": limits.max_response_bytes,
    }
    return ModelProcesses(_COMMAND, config, b"".join(bundle.files.values()), limits)


async def _run(process: ModelProcesses, server: Server | None) -> None:
    try:
        await process.run()
    except CannotServe as error:
        raise InvalidBundle(str(error)) from None
    finally:
        if server is not None:
            server.stop()
