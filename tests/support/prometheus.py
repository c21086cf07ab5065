"""A Prometheus that answers every instant query with one number."""

import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager


class ScriptedPrometheus(http.server.ThreadingHTTPServer):
    """Listens on a free port of the loopback address."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.value = 0.0
        """What it answers."""
        self.queries: list[str] = []
        """What it was asked."""

    @property
    def url(self) -> str:
        """Return its URL."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: ScriptedPrometheus

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path != "/api/v1/query":
            self.send_error(404)
            return
        self.server.queries += urllib.parse.parse_qs(query)["query"]
        samples = [{"metric": {}, "value": [1_800_000_000.5, str(self.server.value)]}]
        body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": samples}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving_prometheus() -> Iterator[ScriptedPrometheus]:
    """Serve during the block."""
    with ScriptedPrometheus() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
