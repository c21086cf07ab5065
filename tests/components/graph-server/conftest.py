"""Real servers for the tests: the graph server's command, and seldon-core-microservice."""

import http.client
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fairlead_artifacts import publish

from tests.support.ports import free_port

_ROOT = Path(__file__).parents[3]
_COMMAND = Path(sys.executable).with_name("fairlead-graph-server")
_START_SECONDS = 60


@dataclass
class Answer:
    """A server's response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    """A running graph server."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    address: str = "127.0.0.1"
    deployment: str = "digits"

    def get(self, path: str) -> Answer:
        return self.request("GET", path, None)

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("POST", path, data, headers)

    def infer(self, *inputs: dict[str, Any], **more: Any) -> Answer:
        return self.post(f"/v2/models/{self.deployment}/infer", {"inputs": list(inputs), **more})

    def predict(self, message: Any) -> Answer:
        return self.post("/api/v1.0/predictions", message)

    def request(self, method: str, path: str, body: bytes | None, headers: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection(self.address, self.port, timeout=30)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    def wait_ready(self, seconds: float = _START_SECONDS) -> "Server":
        return self.wait(lambda: self.get("/v2/health/ready").status == 200, seconds)

    def wait(self, holds: Callable[[], bool], seconds: float = _START_SECONDS) -> "Server":
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if holds():
                    return self
            except OSError:
                pass
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(f"not within {seconds} s: {self.log.read_text()}")

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


Graph = dict[str, Any]
Start = Callable[..., Server]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder shared by all tests of a module."""
    return tmp_path_factory.mktemp("module")


@pytest.fixture(scope="module")
def publish_model(folder: Path) -> Callable[..., str]:
    """Return a function that publishes files as an onnx-model artifact at a unique URI and returns it."""
    places = itertools.count()

    def run(name: str, files: bytes | dict[str, bytes], kind: str = "onnx-model") -> str:
        place = folder / str(next(places))
        made, uri = place / "made", (place / "store" / name).as_uri()
        for path, content in (files if isinstance(files, dict) else {"model.onnx": files}).items():
            (made / path).parent.mkdir(parents=True, exist_ok=True)
            (made / path).write_bytes(content)
        publish(made, uri, kind=kind, producer="tests/0")
        return uri

    return run


@pytest.fixture(scope="module")
def start(folder: Path) -> Iterator[Start]:
    """Return a function that starts the graph server's command on a graph; all servers are stopped after the module."""
    with ExitStack() as stack:

        def run(graph: Any, command: Path = _COMMAND, **environment: str) -> Server:
            port = free_port()
            file, log = folder / f"graph-{port}.json", folder / f"server-{port}.log"
            file.write_bytes(graph if isinstance(graph, bytes) else json.dumps(wrap(graph)).encode())
            arguments = [str(command), "--graph", str(file), "--port", str(port)]
            # a server that is killed leaves its models, which the machine's own folder would keep
            fixed = {
                "FAIRLEAD_BIND_ADDRESS": "127.0.0.1", "FAIRLEAD_DRAIN_SECONDS": "0.2", "TMPDIR": str(folder),
            }  # fmt: skip
            with log.open("wb") as output:
                process = subprocess.Popen(arguments, env={**os.environ, **fixed, **environment}, stderr=output)
            stack.callback(_kill, process)
            return Server(process, port, log, environment.get("FAIRLEAD_BIND_ADDRESS", "127.0.0.1"))

        yield run


@pytest.fixture
def seldon(tmp_path: Path) -> Iterator[Callable[..., dict[str, Any]]]:
    """Return a function that starts a real Seldon microservice (tests/seldon/Affine.py) and returns its endpoint."""
    command = find_seldon()
    with ExitStack() as stack:

        def run(
            kind: str = "MODEL", factor: float = 2.0, port: int | None = None, address: str = "127.0.0.1",
            transport: str = "REST",
        ) -> dict[str, Any]:  # fmt: skip
            port, grpc_port = port or free_port(), free_port()
            parameters = json.dumps([{"name": "factor", "value": str(factor), "type": "FLOAT"}])
            arguments = ["Affine", "--service-type", kind, "--http-port", str(port), "--parameters", parameters]
            arguments += ["--grpc-port", str(grpc_port), "--metrics-port", str(free_port())]
            environment = os.environ | {
                "FAIRLEAD_BIND_ADDRESS": address,
                "PYTHONPATH": str(_ROOT / "tests" / "seldon"),
                "PREDICTIVE_UNIT_ID": f"{kind.lower()}-unit",
            }
            with (tmp_path / f"seldon-{port}.log").open("wb") as log:
                process = subprocess.Popen(
                    [command, *arguments], env=environment, stdout=log, stderr=log, start_new_session=True
                )
            stack.callback(_kill_group, process)
            return {"host": "127.0.0.1", "port": port if transport == "REST" else grpc_port, "type": transport}

        yield run


def wrap(graph: Graph) -> Graph:
    """Return graph.json's content for a root node."""
    return {"deployment": "digits", "predictor": "main", "namespace": "default", "graph": graph}


def find_seldon() -> str:
    """Return the command in the environment of components/seldon-node; fail the test if it is missing."""
    home = Path(os.environ.get("FAIRLEAD_HOME", Path.home() / ".fairlead"))
    path = home / "envs" / "seldon-node" / "bin" / "seldon-core-microservice"
    found = str(path) if path.exists() else shutil.which("seldon-core-microservice")
    assert found, f"seldon-core-microservice is neither at {path} nor on PATH: set up the environment `seldon-node`"
    return found


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    # The wrapper forks its gRPC, metrics and REST servers; they share its session.
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def free_port_of() -> Callable[[], int]:
    """Return a function that finds a free port."""
    return free_port


@pytest.fixture
def hanging() -> Iterator[int]:
    """Return the port of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield int(server.getsockname()[1])


@pytest.fixture
def as_document() -> Callable[[Any], bytes]:
    """Return a function that makes the content of graph.json of a whole document."""
    return lambda document: json.dumps(document).encode()
