"""HTTP: the paths of the Open Inference Protocol v2, of Seldon and of TensorFlow Serving, before the data plane."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from fairlead_contracts.devices import PATH as DEVICES_PATH
from fairlead_contracts.monitor import PATH as MONITOR_PATH
from fairlead_contracts.traffic import PATH as TRAFFIC_PATH
from fairlead_contracts.traffic import ROUTED
from fairlead_serving import binary_bodies
from fairlead_serving.binary_bodies import read_header_bytes
from fairlead_serving.data_plane import DataPlane
from fairlead_serving.errors import Code, ServingError, UnknownModel
from fairlead_serving.messages import HTTP_STATUS, JSON, RETRY_AFTER, Request, Response, json_response

from . import __version__
from .devices import read_devices
from .metrics import CONTENT_TYPE, Metrics
from .monitor.control import Monitoring
from .protocols.failures import build_failure
from .protocols.names import OF_ROOT, TENSORFLOW, V2
from .protocols.paths import READY, TENSORFLOW_MODELS, find_protocol
from .puids import PUID, clean_puid
from .repository import EXTENSION, INDEX, answer_repository
from .repository import PREFIX as REPOSITORY
from .traffic.control import Control
from .traffic.flight import RouteFailed
from .traffic.http_side import HttpTraffic

_SERVER = {"name": "fairlead-graph-server", "version": __version__, "extensions": [binary_bodies.EXTENSION, EXTENSION]}
_PREDICT = ":predict"


class App:
    """The HTTP application."""

    def __init__(
        self, plane: DataPlane, metrics: Metrics, traffic: HttpTraffic | None = None, control: Control | None = None,
        monitoring: Monitoring | None = None,
    ) -> None:  # fmt: skip
        """Serve a data plane; without `traffic` and `control`, it answers all requests itself."""
        self._plane, self._metrics = plane, metrics
        self._infer_path = f"/v2/models/{plane.model}/infer"
        self._traffic, self._control, self._monitoring = traffic, control, monitoring

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        if request.method == "POST":
            return await self._post(request)
        if self._control is not None and request.path == TRAFFIC_PATH:
            return await self._control.answer(request)
        if self._monitoring is not None and request.path == MONITOR_PATH:
            return await self._monitoring.answer(request)
        if request.path == INDEX:
            return json_response({"error": f"method {request.method[:20]}: expected POST"}, 405, [("Allow", "POST")])
        if request.method in ("GET", "HEAD"):
            return self._get(request.path)
        problem = {"error": f"method {request.method}: expected GET, HEAD or POST"}
        return json_response(problem, 405, [("Allow", "GET, HEAD, POST")])

    def drain(self) -> None:
        """Become unready."""
        self._plane.drain()

    def give_up(self) -> None:
        """Fail the requests in flight."""
        self._plane.give_up()
        if self._traffic is not None:
            self._traffic.give_up()

    def _get(self, path: str) -> Response:
        try:
            if path == "/metrics":
                return Response(self._metrics.render(), content_type=CONTENT_TYPE)
            if path in ("/v2", "/v2/"):
                return json_response(_SERVER)
            if path == "/v2/health/live":
                return json_response({"live": True})
            if path in READY:
                return self._ready({})
            if path == DEVICES_PATH:
                return json_response(read_devices(self._plane))
            if path.startswith(TENSORFLOW_MODELS):
                return self._describe_tensorflow(path)
            action = self._split(path)
            if action == "ready":
                return self._ready({"name": self._plane.model})
            if action == "":
                return Response(self._plane.describe())
            raise UnknownModel(f"path {path}: not found for GET")
        except ServingError as error:
            return json_response({"error": str(error)}, HTTP_STATUS[error.code])

    def _ready(self, document: dict[str, Any]) -> Response:
        reason = self._plane.unready
        document = {**document, "ready": reason is None}
        return json_response(document) if reason is None else json_response({**document, "reason": reason}, 503)

    async def _post(self, request: Request) -> Response:
        protocol = V2 if request.path == self._infer_path else find_protocol(request.path)
        try:
            if request.path.startswith(REPOSITORY):
                return json_response(answer_repository(self._plane, request.path, request.body))
            head = self._read_head(request, protocol)
            if self._traffic is not None and self._traffic.active and protocol not in OF_ROOT:
                return await self._traffic.answer(request, protocol, head, partial(self._infer, protocol, request.body))
            return await self._infer(protocol, request.body, head)
        except ServingError as error:
            headers = [RETRY_AFTER] if error.code is Code.UNAVAILABLE else []
            if isinstance(error, RouteFailed):
                headers.append((ROUTED, error.route))
            return Response(build_failure(protocol, error), HTTP_STATUS[error.code], headers=headers)

    async def _infer(
        self, protocol: str, body: bytes, head: dict[str, Any], more: Sequence[tuple[str, str]] = ()
    ) -> Response:
        """Answer a request here, with more headers; raise ServingError."""
        head, content = await self._plane.infer(protocol, head, body)
        return _build_response(head, content, more)

    def _read_head(self, request: Request, protocol: str) -> dict[str, Any]:
        """Return what the path and the headers say; raise UnknownModel or BadRequest."""
        head: dict[str, Any] = {
            "content_encoding": _text(request.header(b"content-encoding")).strip().lower(),
            "accept_encoding": _text(request.header(b"accept-encoding")),
        }
        if protocol == TENSORFLOW:
            self._check_tensorflow(request.path)
            return head
        if protocol != V2:
            return {**head, "puid": clean_puid(_text(request.header(PUID.lower().encode())))}
        if request.path != self._infer_path and (action := self._split(request.path)) != "infer":
            raise UnknownModel(f"action {action}: expected /v2/models/{self._plane.model}/infer for POST")
        if (length := read_header_bytes(request)) is not None:
            head["header_bytes"] = length
        return head

    def _check_tensorflow(self, path: str) -> None:
        """Raise UnknownModel unless a path is /v1/models/{model}[/versions/{version}]:predict of this model."""
        if not path.endswith(_PREDICT):
            raise UnknownModel(f"path {path}: expected {TENSORFLOW_MODELS}{self._plane.model}{_PREDICT} for POST")
        model, _, version = path.removeprefix(TENSORFLOW_MODELS).removesuffix(_PREDICT).partition("/versions/")
        self._plane.check_model(model, version)

    def _describe_tensorflow(self, path: str) -> Response:
        """Return the state of the model, as TensorFlow Serving says it; raise UnknownModel."""
        model, _, version = path.removeprefix(TENSORFLOW_MODELS).partition("/versions/")
        self._plane.check_model(model, version)
        reason = self._plane.unready
        code, state = ("OK", "AVAILABLE") if reason is None else ("UNAVAILABLE", "LOADING")
        status = {"error_code": code, "error_message": reason or ""}
        return json_response(
            {"model_version_status": [{"version": self._plane.version, "state": state, "status": status}]}
        )

    def _split(self, path: str) -> str:
        """Return the action of /v2/models/{model}[/versions/{version}][/{action}]; raise UnknownModel."""
        prefix, _, rest = path.partition("/v2/models/")
        if prefix or not rest:
            raise UnknownModel(f"path {path}: not found")
        model, _, action = rest.partition("/")
        version = ""
        if action.startswith("versions/"):
            version, _, action = action.removeprefix("versions/").partition("/")
        self._plane.check_model(model, version)
        return action


def _build_response(head: dict[str, Any], content: bytes, more: Sequence[tuple[str, str]]) -> Response:
    """Build the response from what the model process says about its body."""
    headers, content_type = [*more], JSON
    if "puid" in head:
        headers.append((PUID, head["puid"]))
    if "header_bytes" in head:
        headers.append((binary_bodies.HEADER, str(head["header_bytes"])))
        content_type = binary_bodies.BYTES
    if encoding := head["content_encoding"]:
        headers += [("Content-Encoding", encoding), ("Vary", "Accept-Encoding")]
    return Response(content, 200, content_type, headers)


def _text(value: bytes) -> str:
    """Return a header's value; what is not ASCII is replaced."""
    return value.decode("ascii", "replace")
