"""A small HTTP server for the runtime, from the standard library: one thread per connection, drained on SIGTERM."""

import contextlib
import json
import logging
import signal
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from . import __version__
from .errors import RequestRejected
from .runtime import Runtime

_log = logging.getLogger(__name__)
_MAX_BODY = 16 * 2**20
_IDLE_SECONDS = 30


def serve(runtime: Runtime, address: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C; requests in flight are answered first."""
    server = _Server((address, port), type("Handler", (_Handler,), {"runtime": runtime}))
    for number in (signal.SIGTERM, signal.SIGINT):
        # Stop from another thread, because shutdown waits for the loop in this one.
        signal.signal(number, lambda *_: threading.Thread(target=server.stop).start())
    _log.info("serving %s on http://%s:%d", runtime.name, address, server.server_port)
    with server:
        server.serve_forever(poll_interval=0.1)


class _Server(ThreadingHTTPServer):
    """Tracks its connections, so that idle ones do not delay the shutdown."""

    daemon_threads = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._connections: set[socket.socket] = set()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Remove a closed connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def stop(self) -> None:
        """Stop accepting connections and requests; responses in flight are still written."""
        self.shutdown()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RD)


class _Handler(BaseHTTPRequestHandler):
    """Handles V2's paths for one model."""

    runtime: Runtime
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        """Answer health and metadata."""
        model = f"/v2/models/{self.runtime.name}"
        if self.path in ("/v2/health/live", "/v2/health/ready", f"{model}/ready"):
            # The server starts only after the bundle is verified and loaded and the model has run once.
            self._answer(200, {"ready": True})
        elif self.path == "/v2":
            self._answer(200, {"name": "fairlead-edge", "version": __version__, "extensions": []})
        elif self.path == model:
            self._answer(200, self.runtime.describe())
        else:
            self._answer(404, {"error": f"path {self.path}: not found"})

    def do_POST(self) -> None:
        """Answer an inference request."""
        if self.path != f"/v2/models/{self.runtime.name}/infer":
            self.close_connection = True
            self._answer(404, {"error": f"path {self.path}: expected /v2/models/{self.runtime.name}/infer"})
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _MAX_BODY:
            self.close_connection = True
            status = 413 if length.isdigit() else 411
            self._answer(status, {"error": f"Content-Length: got {length!r}, expected at most {_MAX_BODY}"})
            return
        try:
            self._answer(200, self.runtime.infer(self.rfile.read(int(length))))
        except RequestRejected as error:
            self._answer(400, {"error": str(error)})
        except Exception:  # noqa: BLE001 - the outermost loop: one request must not end the server
            _log.exception("request failed")
            self._answer(500, {"error": "internal error; see the log"})

    def log_message(self, format: str, *args: Any) -> None:
        """Write no access log, because it wears out a device's storage."""

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document, default=lambda array: array.tolist()).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
