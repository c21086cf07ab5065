"""A scripted graph server: it takes signed traffic documents, and reports what it is told to have counted."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from fairlead_contracts.devices import PATH as DEVICES_PATH
from fairlead_contracts.monitor import PATH as MONITOR_PATH
from fairlead_contracts.traffic import (
    PATH,
    SIGNATURE,
    Agreement,
    Counts,
    RouteFacts,
    TrafficDocument,
    TrafficFacts,
    is_signed,
)

from tests.support.api_server import Kubectl


class ScriptedServer(ThreadingHTTPServer):
    """The graph server of all pods that have its address."""

    daemon_threads = True

    def __init__(self, address: str, port: int, key: Callable[[], bytes]) -> None:
        super().__init__((address, port), _Handler)
        self.key = key
        self.revision = ""
        self.document: TrafficDocument | None = None
        self.counts = Counts()
        """What each route has answered in the current window, whichever that is."""
        self.agreement = Agreement()
        """How the copies compare, in the same way."""
        self.denied = 0
        self.answer: bytes | None = None
        """What GET returns instead of the facts."""
        self.monitor: bytes | None = None
        """What it has counted of its models."""
        self.devices: bytes | None = None
        """Where its models run."""

    def facts(self) -> TrafficFacts:
        """Return the facts."""
        document = self.document
        return TrafficFacts(
            server="scripted",
            revision=self.revision,
            generation=document.generation if document else 0,
            window=document.window if document else 0,
            routes=tuple(
                RouteFacts(name=route.name, counts=self.counts, agreement=self.agreement) for route in document.routes
            )
            if document
            else (),
        )


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedServer

    def do_GET(self) -> None:
        """Serve the facts, and be ready."""
        if self.path in (MONITOR_PATH, DEVICES_PATH):
            content = self.server.monitor if self.path == MONITOR_PATH else self.server.devices
            self._answer(404 if content is None else 200, content or b"")
            return
        facts = self.server.answer or json.dumps(self.server.facts().to_json()).encode()
        self._answer(200, facts if self.path == PATH else b"{}")

    def do_PUT(self) -> None:
        """Take a document that is signed and for this revision."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not is_signed(self.server.key(), body, self.headers.get(SIGNATURE, "")):
            self.server.denied += 1
            self._answer(401, b"")
            return
        document = TrafficDocument.parse_json(body, "document")
        known = self.server.document
        if document.revision != self.server.revision or (known and document.generation < known.generation):
            self._answer(409, b"")
            return
        self.server.document = document
        self._answer(200, b"{}")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def serving_graphs(address: str, port: int, key: Callable[[], bytes]) -> Iterator[ScriptedServer]:
    """Serve at an address during the block; port 0 for any."""
    with ScriptedServer(address, port, key) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def read_traffic_key(kubectl: Kubectl, deployment: str) -> bytes:
    """Return the key that signs the documents of a deployment's traffic."""
    data = kubectl.get("secret", f"{deployment}-traffic")["data"]
    return bytes.fromhex(base64.b64decode(data["key"]).decode())
