"""The servers: ours, its limit, and the peers, each with one process or as few as it can have."""

import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead_cluster.base.home import CHECKOUT, default_home

from bench.environment import make_environment
from bench.serving.model import NAME, json_request, seldon_request
from tests.support.ports import free_port

SERVER_CORE, LOAD_CORE = 0, 1
_HERE = Path(__file__).parent
_PEERS = _HERE / "peers"
_START_SECONDS = 120.0
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}

Command = Callable[[Path, Path, int], tuple[list[str], Mapping[str, str]]]
"""Returns the command and the variables of a server, from a folder for its files, the model and a port."""


@dataclass(frozen=True)
class Contender:
    """One server, and the request that asks it for the same row."""

    name: str
    command: Command
    request: bytes
    ready: str
    cores: str = str(SERVER_CORE)


def find_environment(name: str) -> Path:
    """Return the folder of a component's programs."""
    return default_home() / "envs" / name / "bin"


def fairlead_command(name: str, graph: Mapping[str, Any], variables: Mapping[str, str]) -> Command:
    """Return the command of the graph server for a deployment's graph."""

    def command(folder: Path, model: Path, port: int) -> tuple[list[str], Mapping[str, str]]:  # noqa: ARG001
        document = {"apiVersion": "graph.fairlead.dev/v1", "deployment": name, "predictor": "main", "graph": graph}
        (folder / "graph.json").write_text(json.dumps(document))
        program = find_environment("graph-server") / "fairlead-graph-server"
        argv = [str(program), "--graph", str(folder / "graph.json"), "--port", str(port)]
        return argv, {"FAIRLEAD_BIND_ADDRESS": "127.0.0.1", **variables}

    return command


def _fairlead(folder: Path, model: Path, port: int) -> tuple[list[str], Mapping[str, str]]:
    node = {"name": NAME, "type": "MODEL", "modelUri": model.parent.as_uri(), "children": []}
    return fairlead_command(NAME, node, {})(folder, model, port)


def _bare(folder: Path, model: Path, port: int) -> tuple[list[str], Mapping[str, str]]:  # noqa: ARG001
    python = find_environment("graph-server") / "python"
    return [str(python), str(_HERE / "bare_loop.py"), str(model), str(port)], {}


def _mlserver(folder: Path, model: Path, port: int) -> tuple[list[str], Mapping[str, str]]:
    settings = {
        "parallel_workers": 0, "host": "127.0.0.1", "debug": False,
        "http_port": port, "grpc_port": free_port(), "metrics_port": free_port(),
    }  # fmt: skip
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps({"name": NAME, "implementation": "peer_mlserver.Digits"}))
    program = make_environment(_PEERS / "mlserver.txt").with_name("mlserver")
    return [str(program), "start", str(folder)], {"PYTHONPATH": str(_PEERS), "MODEL": str(model)}


def _kserve(folder: Path, model: Path, port: int) -> tuple[list[str], Mapping[str, str]]:  # noqa: ARG001
    python = make_environment(_PEERS / "kserve.txt")
    return [str(python), str(_PEERS / "peer_kserve.py"), str(port), str(free_port())], {"MODEL": str(model)}


def _seldon(folder: Path, model: Path, port: int) -> tuple[list[str], Mapping[str, str]]:  # noqa: ARG001
    program = make_environment(_PEERS / "seldon.txt").with_name("seldon-core-microservice")
    variables = {
        "PYTHONPATH": str(_PEERS), "MODEL": str(model), "PREDICTIVE_UNIT_HTTP_SERVICE_PORT": str(port),
        "PREDICTIVE_UNIT_GRPC_SERVICE_PORT": str(free_port()), "PREDICTIVE_UNIT_METRICS_SERVICE_PORT": str(free_port()),
        "SELDON_DEBUG": "0", "SELDON_LOG_LEVEL": "WARNING",
    }  # fmt: skip
    return [
        str(program),
        "PeerSeldon",
        "--service-type",
        "MODEL",
        "--workers",
        "1",
        "--threads",
        "16",
        "--keepalive",
        "75",
    ], variables


FAIRLEAD, BARE = "fairlead", "bare loop"
CONTENDERS = (
    Contender(BARE, _bare, json_request(), ""),
    Contender(FAIRLEAD, _fairlead, json_request(), "/v2/health/ready"),
    Contender("MLServer 1.7.1", _mlserver, json_request(), f"/v2/models/{NAME}/ready"),
    Contender("KServe 0.21", _kserve, json_request(), f"/v2/models/{NAME}/ready"),
    Contender("seldon-core-microservice 1.17.1", _seldon, seldon_request(), "/health/ping"),
)
PEERS = tuple(contender.name for contender in CONTENDERS[2:])


@contextmanager
def started(contender: Contender, folder: Path, model: Path) -> Iterator[int]:
    """Run a server on its core; yield its port."""
    with running(contender, folder, model) as (port, _):
        yield port


@contextmanager
def running(contender: Contender, folder: Path, model: Path) -> Iterator[tuple[int, int]]:
    """Run a server on its cores; yield its port and the id of its process."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    command, variables = contender.command(folder, model, port)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["taskset", "--cpu-list", contender.cores, *command], env={**os.environ, **_ONE_THREAD, **variables},
            stdout=log, stderr=log, cwd=CHECKOUT, start_new_session=True,
        )  # fmt: skip
    try:
        _wait_ready(contender, port, process, folder / "log")
        yield port, process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_ready(contender: Contender, port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _is_ready(contender, port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{contender.name} does not serve: {log.read_text()[-3000:]}")
        time.sleep(0.1)


def _is_ready(contender: Contender, port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.connect()
        if not contender.ready:
            return True
        connection.request("GET", contender.ready)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
