"""The two servers under test, as their commands, and what is observed about them."""

import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from fairlead_artifacts import publish
from fairlead_contracts.edge_bundle import BundleDescription, Preprocessing

HOME = Path(os.environ.get("FAIRLEAD_HOME", Path.home() / ".fairlead"))
ADDRESS = "127.0.0.2"
"""Clients connect from 127.0.0.1, so that none of them is given the port of a server that is starting."""


@dataclass(frozen=True)
class Kind:
    """One of the servers: how its command is started on a model."""

    name: str
    model: str
    """The model's name in paths."""

    def start(self, folder: Path, model: bytes, **environment: str) -> "Target":
        """Start the server on a model's bytes."""
        files = folder / "model"
        files.mkdir(parents=True)
        (files / "model.onnx").write_bytes(model)
        command = (_prepare_graph if self.name == "graph-server" else _prepare_bundle)(folder, files)
        port = _free_port()
        variables = {
            "FAIRLEAD_BIND_ADDRESS": ADDRESS,
            "FAIRLEAD_DRAIN_SECONDS": "0.1",
            "HOME": str(folder),
            **environment,
        }
        log = (folder / "log").open("wb")
        process = subprocess.Popen(
            [*command, "--port", str(port)], env={**_environment(), **variables}, stderr=log, stdout=log, cwd=folder
        )
        return Target(self, process, port, folder / "log")


@dataclass
class Target:
    """A running server."""

    kind: Kind
    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    @property
    def path(self) -> str:
        """Return the path of inference."""
        return f"/v2/models/{self.kind.model}/infer"

    def ask(self, method: str, path: str, body: bytes | None = None, timeout: float = 60) -> tuple[int, bytes]:
        """Send a request on a connection of its own; return the status and the body."""
        connection = http.client.HTTPConnection(ADDRESS, self.port, timeout=timeout)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def wait_ready(self, seconds: float) -> bool:
        """Return True once the server is ready, False if it ends or does not become ready."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if self.ask("GET", "/v2/health/ready", timeout=5)[0] == 200:
                    return True
            except OSError:
                pass
            time.sleep(0.02)
        return False

    def rss(self) -> int:
        """Return the resident memory of the server's processes in MiB."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        pages = 0
        for each in (str(pid), *children):
            try:
                pages += int(Path(f"/proc/{each}/statm").read_text().split()[1])
            except OSError:
                continue  # replaced in the meantime
        return pages * 4096 >> 20

    def restarts(self) -> int:
        """Return how often the model process was replaced."""
        return self.log.read_text(errors="replace").count("the model process is replaced")

    def stop(self) -> int | None:
        """Stop the server; return its status, or None if it had to be killed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None


KINDS = (Kind("graph-server", "digits"), Kind("edge-runtime", "digits"))


def _environment() -> dict[str, str]:
    """Return this process's environment; without bytecode, a start would take seconds to compile its imports."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _command(name: str, executable: str) -> str:
    return str(HOME / "envs" / name / "bin" / executable)


def _prepare_graph(folder: Path, files: Path) -> list[str]:
    uri = (folder / "store").as_uri()
    publish(files, uri, kind="onnx-model", producer="chaos/0")
    node = {"name": "m", "type": "MODEL", "modelUri": uri}
    graph = {"deployment": "digits", "predictor": "main", "namespace": "default", "graph": node}
    (folder / "graph.json").write_text(json.dumps(graph))
    return [_command("graph-server", "fairlead-graph-server"), "--graph", str(folder / "graph.json")]


def _prepare_bundle(folder: Path, files: Path) -> list[str]:
    digest = hashlib.sha256((files / "model.onnx").read_bytes()).hexdigest()
    description = BundleDescription("digits", Preprocessing(), (), "onnx-int8", {"model.onnx": digest})
    (files / "bundle.json").write_text(description.to_text())
    uri = (folder / "store").as_uri()
    publish(files, uri, kind="edge-bundle", producer="chaos/0")
    return [_command("edge-runtime", "fairlead-edge"), "serve", "--bundle", uri]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def require_commands() -> None:
    """Exit with a message unless both servers are installed."""
    for name, executable in (("graph-server", "fairlead-graph-server"), ("edge-runtime", "fairlead-edge")):
        if not Path(_command(name, executable)).exists():
            sys.exit(f"{_command(name, executable)} is missing: run `fairlead setup --tests {name}`")
