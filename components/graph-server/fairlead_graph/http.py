"""The HTTP API: a dozen routes in front of the model process (docs/decisions/0010-model-process.md)."""

import logging
import time
from typing import Any

from fairlead_contracts.graph import GraphDocument
from fairlead_serving.errors import Crashed, NotReady, Overloaded, ServingError
from fairlead_serving.messages import JSON, RETRY_AFTER, Request, Response, json_response
from fairlead_serving.supervisor import ModelProcess, Reply

from . import __version__
from .errors import RequestRejected, UnknownModel
from .metrics import CONTENT_TYPE, Metrics
from .protocols.failures import build_failure

_log = logging.getLogger(__name__)
_SERVER = {"name": "fairlead-graph-server", "version": __version__, "extensions": []}
_PREDICTIONS = ("/api/v1.0/predictions", "/api/v0.1/predictions")


class App:
    """The application; it responds from the start, also while models load or the model process is replaced."""

    def __init__(self, spec: GraphDocument, version: str, max_in_flight: int) -> None:
        self.metrics = Metrics(spec)
        self.process: ModelProcess | None = None
        """The model process; None until the models are fetched."""
        self._model, self._version = spec.deployment, version
        self._max_in_flight, self._in_flight = max_in_flight, 0
        self._draining = False

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        if request.method == "POST":
            return await self._post(request)
        if request.method in ("GET", "HEAD"):
            return self._get(request.path)
        problem = {"error": f"method {request.method}: expected GET, HEAD or POST"}
        return json_response(problem, 405, [("Allow", "GET, HEAD, POST")])

    def drain(self) -> None:
        """Become unready."""
        self._draining = True

    def give_up(self) -> None:
        """Fail the requests in flight."""
        if self.process is not None:
            self.process.close()

    def observe_calls(self, head: dict[str, Any]) -> None:
        """Record the calls to nodes that the model process reports."""
        images = self.process.facts[0]["images"] if self.process and self.process.facts else {}
        for node, method, code, seconds in head["calls"]:
            image, version = images[node]
            self.metrics.observe_call(node, image, version, method, code, seconds)

    def observe_restart(self, cause: str) -> None:
        """Record that the model process was replaced."""
        self.metrics.restarts.labels(cause).inc()

    def _get(self, path: str) -> Response:
        try:
            if path == "/metrics":
                return Response(self.metrics.render(), content_type=CONTENT_TYPE)
            if path in ("/v2", "/v2/"):
                return json_response(_SERVER)
            if path == "/v2/health/live":
                return json_response({"live": True})
            if path == "/v2/health/ready":
                return self._ready({})
            action = self._split(path)
            if action == "ready":
                return self._ready({"name": self._model})
            if action == "":
                return Response(self._facts()[1])
            raise UnknownModel(f"path {path}: not found for GET")
        except ServingError as error:
            return json_response({"error": str(error)}, error.status)

    def _ready(self, document: dict[str, Any]) -> Response:
        loading = "the models are being fetched" if self.process is None else self.process.unready
        reason = "draining" if self._draining else loading
        document = {**document, "ready": reason is None}
        return json_response(document) if reason is None else json_response({**document, "reason": reason}, 503)

    async def _post(self, request: Request) -> Response:
        start, protocol = time.perf_counter(), "seldon" if request.path in _PREDICTIONS else "v2"
        try:
            response = await self._infer(request, protocol)
        except ServingError as error:
            headers = [RETRY_AFTER] if error.status == 503 else []
            response = Response(build_failure(protocol, error), error.status, headers=headers)
        if response.status != 404:
            service = "predictions" if protocol == "seldon" else "infer"
            self.metrics.observe_request(service, response.status, time.perf_counter() - start)
        return response

    async def _infer(self, request: Request, protocol: str) -> Response:
        if protocol == "v2":
            if (action := self._split(request.path)) != "infer":
                raise UnknownModel(f"action {action}: expected /v2/models/{self._model}/infer for POST")
            if header := request.header(b"inference-header-content-length"):
                raise RequestRejected("header Inference-Header-Content-Length", header, "tensors as JSON, not binary")
        if self._in_flight >= self._max_in_flight:
            raise Overloaded(f"{self._in_flight} requests are in flight, the maximum; retry later")
        self._in_flight += 1
        self.metrics.in_flight.set(self._in_flight)
        try:
            head, content = await self._call(request, protocol)
        finally:
            self._in_flight -= 1
            self.metrics.in_flight.set(self._in_flight)
        puid = [("Seldon-Puid", head["puid"])] if "puid" in head else []
        retry = [RETRY_AFTER] if head["status"] == 503 else []
        return Response(content, head["status"], head.get("type", JSON), [*puid, *retry])

    async def _call(self, request: Request, protocol: str) -> Reply:
        if self.process is None:
            raise NotReady("not ready: the models are being fetched")
        puid = request.header(b"seldon-puid")[:128].decode("ascii", "replace")
        puid = puid if puid.isprintable() and puid.isascii() else ""
        try:
            head, content = await self.process.call({"protocol": protocol, "puid": puid}, request.body)
        except Crashed as error:
            _log.error("a request ended the model process", extra={"path": request.path, "reason": str(error)})
            raise
        self.observe_calls(head)
        return head, content

    def _facts(self) -> Reply:
        if self.process is None or self.process.facts is None:
            raise NotReady("not ready: the models are loading")
        return self.process.facts

    def _split(self, path: str) -> str:
        """Return the action of /v2/models/{model}[/versions/{version}][/{action}]; raise UnknownModel."""
        prefix, _, rest = path.partition("/v2/models/")
        if prefix or not rest:
            raise UnknownModel(f"path {path}: not found")
        model, _, action = rest.partition("/")
        if model != self._model:
            raise UnknownModel(f"model: got {model[:100]!r}, expected {self._model!r}")
        if action.startswith("versions/"):
            version, _, action = action.removeprefix("versions/").partition("/")
            if version != self._version:
                raise UnknownModel(f"version: got {version[:100]!r}, expected {self._version!r}")
        return action
