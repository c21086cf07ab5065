"""Graph servers whose traffic is split: set it, and read what they have measured."""

import itertools
import json
import re
import socketserver
import threading
from pathlib import Path
from typing import Any

from fairlead_contracts.traffic import PATH, SIGNATURE, Counts, RouteFacts, TrafficFacts, sign

KEY = b"the key of the tests"
ROW = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 4]}
INFER = "/v2/models/digits/infer"


def environment(folder: Path, revision: str, **more: str) -> dict[str, str]:
    """Return the variables of a server that serves a revision."""
    key = folder / "traffic.key"
    key.write_text(KEY.hex())
    return {"FAIRLEAD_REVISION": revision, "FAIRLEAD_KEY_FILE": str(key), **more}


def route(port: int, name: str = "candidate", grpc_port: int = 1, **shares: float) -> dict[str, Any]:
    """Return a route to a port of the loopback address."""
    return {"name": name, "host": "127.0.0.1", "port": port, "grpcPort": grpc_port, **shares}


def http_answer(body: bytes, status: str = "200 OK", content_type: str = "application/json", *more: str) -> bytes:
    """Return an answer in HTTP."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *more, "", ""]
    return "\r\n".join(lines).encode() + body


class RawServer:
    """A server that answers each request with the same bytes, which need not be HTTP; without any, it waits for some.

    After an answer that says `Connection: close` or is empty, it closes the connection.
    """

    def __init__(self, answer: bytes | None = None) -> None:
        self.requests: list[bytes] = []
        """The requests so far."""
        self._released = threading.Event()
        self._asked = threading.Semaphore(0)
        self._answer = b""
        if answer is not None:
            self.release(answer)
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while request := outer._read(self.rfile):
                    outer.requests.append(request)
                    outer._asked.release()
                    outer._released.wait(60)
                    self.wfile.write(outer._answer)
                    if not outer._answer or b"Connection: close" in outer._answer:
                        return

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True
            block_on_close = False

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # a client that is gone

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "RawServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def release(self, answer: bytes) -> None:
        """Answer all requests from now on, and those that wait."""
        self._answer = answer
        self._released.set()

    def wait_asked(self) -> None:
        """Wait for the next request."""
        assert self._asked.acquire(timeout=30)

    def _read(self, file: Any) -> bytes:
        head = b""
        while (line := file.readline()) not in (b"", b"\r\n"):
            head += line
        found = re.search(rb"(?i)content-length: (\d+)", head)
        return head + file.read(int(found[1])) if found else head


class Split:
    """The traffic of a server; each document begins a window."""

    def __init__(self, server: Any, revision: str = "stable") -> None:
        self.server, self.revision = server, revision
        self._generations = itertools.count(1)

    def set(self, *routes: dict[str, Any], **changes: Any) -> TrafficFacts:
        """Put a document in force."""
        generation = next(self._generations)
        document = {"revision": self.revision, "generation": generation, "window": generation, "routes": routes}
        answer = self.put(document | changes)
        assert answer.status == 200, answer.body
        return TrafficFacts.parse_json(answer.body, "facts")

    def put(self, document: Any, signature: str | None = None) -> Any:
        """Send a document, or bytes, and return the answer."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.server.request("PUT", PATH, body, {SIGNATURE: sign(KEY, body) if signature is None else signature})

    def facts(self) -> TrafficFacts:
        """Read the facts."""
        answer = self.server.get(PATH)
        assert answer.status == 200
        return TrafficFacts.parse_json(answer.body, "facts")

    def counts(self, name: str = "candidate") -> Counts:
        """Read the counts of a route."""
        return self.facts_of(name).counts

    def facts_of(self, name: str = "candidate") -> RouteFacts:
        """Read the facts of a route."""
        return next(facts for facts in self.facts().routes if facts.name == name)
