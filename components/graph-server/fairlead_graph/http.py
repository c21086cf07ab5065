"""The HTTP API: an ASGI application with a dozen routes over the service (docs/decisions/0003-graph-server-http.md)."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from fairlead_contracts.errors import Words

from .errors import BodyTooLarge, BodyTooSlow, RequestFailed, RequestRejected, UnknownModel
from .metrics import CONTENT_TYPE
from .protocols import seldon, v2
from .service import Service

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_log = logging.getLogger(__name__)
_JSON = b"application/json"
_RETRY_AFTER = (b"retry-after", b"1")
_PREDICTIONS = ("/api/v1.0/predictions", "/api/v0.1/predictions")


@dataclass(frozen=True)
class Response:
    """An HTTP response."""

    body: bytes
    status: int = 200
    content_type: bytes = _JSON
    headers: Sequence[tuple[bytes, bytes]] = ()


class App:
    """The ASGI application."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._model = service.spec.deployment

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        method, path = scope["method"], scope["path"]
        if method == "POST":
            response = await self._post(path, scope, receive)
        elif method == "GET":
            response = self._get(path)
        else:
            response = _json({"error": f"method {method}: expected GET or POST"}, 405, [(b"allow", b"GET, POST")])
        await _send(response, send)

    def _get(self, path: str) -> Response:
        try:
            if path == "/metrics":
                return Response(self._service.metrics.render(), content_type=CONTENT_TYPE.encode())
            if path in ("/v2", "/v2/"):
                return _json(v2.SERVER)
            if path == "/v2/health/live":
                return _json({"live": True})
            if path == "/v2/health/ready":
                return self._ready({"ready": self._reason() is None})
            model, action = _split_model_path(path)
            self._check_model(model)
            if action == "ready":
                return self._ready({"name": model, "ready": self._reason() is None})
            if action == "":
                return _json(v2.describe_model(model, self._service.require_graph()))
            raise UnknownModel(f"path {path}: not found for GET")
        except RequestFailed as error:
            return _build_failure(error, {"error": str(error)})

    async def _post(self, path: str, scope: Scope, receive: Receive) -> Response:
        start, is_seldon = time.perf_counter(), path in _PREDICTIONS
        try:
            with self._service.admit():
                response = await (self._predict if is_seldon else self._infer)(path, scope, receive)
        except RequestFailed as error:
            response = _build_failure(error, seldon.build_failure(error) if is_seldon else {"error": str(error)})
        except Exception:  # noqa: BLE001 - the outermost loop: one request must not end the server
            _log.exception("request failed", extra={"path": path})
            failure = RequestFailed("internal error; see the server's log")
            response = _build_failure(failure, seldon.build_failure(failure) if is_seldon else {"error": str(failure)})
        if response.status != 404:
            seconds = time.perf_counter() - start
            self._service.metrics.observe_request("predictions" if is_seldon else "infer", response.status, seconds)
        return response

    async def _infer(self, path: str, scope: Scope, receive: Receive) -> Response:
        model, action = _split_model_path(path)
        self._check_model(model)
        if action != "infer":
            raise UnknownModel(f"path {path}: expected /v2/models/{self._model}/infer for POST")
        if _header(scope, b"inference-header-content-length"):
            raise RequestRejected("header Inference-Header-Content-Length", Words("binary tensors"), "tensors as JSON")
        return Response(await v2.infer(self._service, model, await self._read_body(scope, receive)))

    async def _predict(self, path: str, scope: Scope, receive: Receive) -> Response:  # noqa: ARG002
        header_puid = _header(scope, b"seldon-puid").decode("latin-1")
        body, puid = await seldon.predict(self._service, await self._read_body(scope, receive), header_puid)
        return Response(body, headers=[(b"seldon-puid", puid.encode("latin-1", "replace"))])

    async def _read_body(self, scope: Scope, receive: Receive) -> bytes:
        """Read the whole body; raise BodyTooLarge as soon as it exceeds the limit, BodyTooSlow at the deadline."""
        limit, seconds = self._service.settings.max_body_bytes, self._service.settings.body_timeout_seconds
        announced = _header(scope, b"content-length")
        if announced and int(announced) > limit:
            raise BodyTooLarge(f"body: got {int(announced)} bytes, expected at most {limit}")
        try:
            async with asyncio.timeout(seconds):
                return await _join_body(receive, limit)
        except TimeoutError:
            raise BodyTooSlow(f"body: got an incomplete body within {seconds:g} s, expected all of it") from None

    def _check_model(self, model: str) -> None:
        if model != self._model:
            raise UnknownModel(f"model: got {model!r}, expected {self._model!r}")

    def _reason(self) -> str | None:
        return "draining" if self._service.draining else self._service.unready

    def _ready(self, document: dict[str, Any]) -> Response:
        reason = self._reason()
        return _json(document) if reason is None else _json({**document, "reason": reason}, 503)


async def _join_body(receive: Receive, limit: int) -> bytes:
    chunks, size = list[bytes](), 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise RequestRejected("body", Words(f"{size} bytes and a closed connection"), "a complete body")
        chunks.append(event.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise BodyTooLarge(f"body: got more than {size} bytes, expected at most {limit}")
        if not event.get("more_body"):
            return b"".join(chunks) if len(chunks) > 1 else chunks[0]


def _split_model_path(path: str) -> tuple[str, str]:
    """Split /v2/models/{model}[/{action}]."""
    prefix, _, rest = path.partition("/v2/models/")
    if prefix or not rest:
        raise UnknownModel(f"path {path}: not found")
    model, _, action = rest.partition("/")
    return model, action


def _header(scope: Scope, name: bytes) -> bytes:
    return next((bytes(value) for key, value in scope["headers"] if key == name), b"")


def _json(document: Any, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = ()) -> Response:
    return Response(orjson.dumps(document), status, headers=headers)


def _build_failure(error: RequestFailed, document: dict[str, Any]) -> Response:
    return _json(document, error.status, [_RETRY_AFTER] if error.status == 503 else ())


async def _send(response: Response, send: Send) -> None:
    headers = [
        (b"content-type", response.content_type),
        (b"content-length", str(len(response.body)).encode()),
        *response.headers,
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
