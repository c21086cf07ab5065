"""The launcher's HTTP server: signed requests from agents, and the unauthenticated status."""

import json
import logging
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fairlead_contracts.launcher_status import PATH as STATUS_PATH

from .channel import NONCE, RequestGuard, sign_answer
from .coordinator import Coordinator, Rejected
from .network import bind_without_lookup

log = logging.getLogger("launcher")

_BODY_LIMIT = 65536


class LauncherServer(ThreadingHTTPServer):
    """Serve a coordinator to clients that have the job's key."""

    # Requests in flight are answered before the launcher exits; the handler's timeout limits the wait.
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, address: str, port: int, coordinator: Coordinator, key: bytes) -> None:
        self.key = key
        self.guard = RequestGuard(key)
        self.coordinator = coordinator
        self.routes: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "/v1/register": coordinator.register,
            "/v1/heartbeat": coordinator.heartbeat,
            "/v1/finish": coordinator.finish,
        }
        super().__init__((address, port), _Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), name="server", daemon=True).start()

    server_bind = bind_without_lookup

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Log a request that failed; a client that has closed its connection is no error."""
        error = sys.exception()
        if isinstance(error, OSError):
            log.info("request from=%s: %s", client_address[0], error)
        else:
            log.error("request from=%s", client_address[0], exc_info=error)

    def stop(self) -> None:
        """Answer the requests in flight and close the server."""
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: LauncherServer
    timeout = 5

    def do_GET(self) -> None:
        if self.path != STATUS_PATH:
            self._send(404, b"", {})
            return
        self._send(200, _encode(self.server.coordinator.status()), {})

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length") or ""
        if not length.isdecimal() or int(length) > _BODY_LIMIT:
            self._send(413 if length.isdecimal() else 411, b"", {})
            return
        body = self.rfile.read(int(length))
        rejection = self.server.guard.rejection("POST", self.path, body, self.headers, time.time())
        if rejection:
            log.warning("rejected request path=%r from=%s: %s", self.path[:100], self.client_address[0], rejection)
            self._send(401, b"", {})
            return
        status, answer = self._answer(body)
        content = _encode(answer)
        self._send(status, content, sign_answer(self.server.key, self.headers[NONCE], status, content))

    def _answer(self, body: bytes) -> tuple[int, dict[str, Any]]:
        route = self.server.routes.get(self.path)
        if route is None:
            return 404, {"error": "path not found"}
        try:
            message = json.loads(body)
            if not isinstance(message, dict):
                raise ValueError("expected an object")
            return 200, route(message)
        except ValueError as error:
            return 400, {"error": f"the body is not a JSON object: {error}"}
        except KeyError as error:
            return 400, {"error": f"{error.args[0]}: missing"}
        except Rejected as error:
            log.warning("rejected path=%s: %s", self.path, error)
            return 409, {"error": str(error)}

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Log no requests: a heartbeat every second is only noise."""


def _encode(document: dict[str, Any]) -> bytes:
    return json.dumps(document, allow_nan=False).encode()
