"""A client of a scripted HTTP server."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from fairlead.client import FairleadClient

Answer = tuple[int, dict[str, Any]]
Serve = Callable[[list[Answer]], FairleadClient]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Return a client of a server that returns these responses in turn and repeats the last one."""
    servers: list[ThreadingHTTPServer] = []

    def start(answers: list[Answer]) -> FairleadClient:
        rest = list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                code, body = rest.pop(0) if len(rest) > 1 else rest[0]
                content = json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *words: Any) -> None:
                """Log nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        path = tmp_path / "config"
        write_kubeconfig(path, f"http://127.0.0.1:{server.server_port}")
        return FairleadClient(kubeconfig=path)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def write_kubeconfig(path: Path, url: str, namespace: str = "default") -> None:
    """Write a kubeconfig with one context, `c`."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "c", "user": {}}],
        "contexts": [
            {"name": "c", "context": {"cluster": "c", "user": "c", "namespace": namespace}},
            {"name": "other", "context": {"cluster": "c", "user": "c", "namespace": "elsewhere"}},
        ],
    }
    path.write_text(yaml.safe_dump(document))
