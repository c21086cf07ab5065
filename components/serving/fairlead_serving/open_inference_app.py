"""V2's paths over HTTP for a server of one model, in front of a data plane."""

from typing import Any

from .binary_bodies import EXTENSION, build_answer, read_header_bytes
from .data_plane import DataPlane
from .errors import ServingError
from .messages import HTTP_STATUS, Request, Response, json_response

_ALLOW = [("Allow", "GET, HEAD, POST")]


class App:
    """The HTTP application."""

    def __init__(self, plane: DataPlane, name: str, version: str, binary: bool = False) -> None:
        """Serve a data plane's model; `name` and `version` are the server's.

        `binary` says whether the model process knows tensors as bytes after the JSON.
        """
        self._plane, self._binary = plane, binary
        self._server = {"name": name, "version": version, "extensions": [EXTENSION] if binary else []}

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
            return json_response(self._server)
        if model == "":
            return Response(self._plane.describe())
        return json_response({"error": f"path {path}: not found"}, 404)

    async def _post(self, request: Request) -> Response:
        if self._strip(request.path) != "/infer":
            problem = f"path {request.path}: expected /v2/models/{self._plane.model}/infer"
            return json_response({"error": problem}, 404)
        head: dict[str, Any] = {}
        if self._binary and (length := read_header_bytes(request)) is not None:
            head["header_bytes"] = length
        return build_answer(*await self._plane.infer("v2", head, request.body))

    def _strip(self, path: str) -> str | None:
        """Return what follows /v2/models/{model}[/versions/{version}]; None for other paths."""
        model = f"/v2/models/{self._plane.model}"
        for prefix in (f"{model}/versions/{self._plane.version}", model):
            rest = path.removeprefix(prefix)
            if rest != path and (not rest or rest.startswith("/")):
                return rest
        return None
