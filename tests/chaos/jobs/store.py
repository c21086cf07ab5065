"""The object store of the campaign: MinIO behind a valve that refuses, holds or slows connections down."""

import contextlib
import io
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from fairlead_cluster.base.home import Home, default_home
from fairlead_cluster.base.steps import run_steps
from fairlead_cluster.kind.programs import MINIO, module_path, plan_module
from rich.console import Console

from tests.support.object_stores import ObjectStore as Server
from tests.support.object_stores import started_minio

State = Literal["open", "closed", "silent", "slow"]
BUCKET = "chaos"
_CHUNK, _SLOW_SECONDS = 1 << 16, 0.1
"""A slow connection passes on so many bytes in each so many seconds."""


class Valve:
    """Passes connections on to a port: all (open), none (closed), all without their bytes (silent), or slowly."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._state: State = "open"
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, name="valve", daemon=True).start()

    def turn(self, state: State) -> None:
        """Change how connections are treated; `closed` ends those that exist, too."""
        self._state = state
        if state == "closed":
            with self._lock:
                for connection in self._connections:
                    _reset(connection)

    def close(self) -> None:
        """Accept no connection any more."""
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            if self._state == "closed":
                _reset(client)
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._target))
            with self._lock:
                self._connections |= {client, server}
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                while self._state == "silent":
                    time.sleep(_SLOW_SECONDS)
                if self._state == "slow":
                    time.sleep(_SLOW_SECONDS)
                sink.sendall(data)
        for connection in (source, sink):
            with self._lock:
                self._connections.discard(connection)
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


def _reset(connection: socket.socket) -> None:
    """End a connection as a host does that does not know it."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def started_store(folder: Path) -> "Iterator[ObjectStore]":
    """Run MinIO during the block, with a bucket; builds it if necessary, which takes minutes."""
    home = Home(default_home())
    run_steps(plan_module(home, MINIO, "minio"), home.logs, Console(stderr=True))
    with (
        started_minio(module_path(home, MINIO), folder, BUCKET) as server,
        contextlib.closing(Valve(server.port)) as valve,
    ):
        yield ObjectStore(valve, server)


class ObjectStore:
    """A running store; jobs and the operator reach it through the valve."""

    def __init__(self, valve: Valve, server: Server) -> None:
        self.valve = valve
        self._server = server

    def variables(self, password: str | None = None) -> dict[str, str]:
        """Return the AWS_* variables of its clients."""
        return self._server.variables(self.valve.port, password)

    def damage(self, prefix: str, name: str, *, cut: bool) -> str:
        """Cut the last object with this prefix and name, or change one of its bytes; return which one that was."""
        client = self._server.client
        found = [str(item.object_name) for item in client.list_objects(BUCKET, prefix, recursive=True)]
        path = max(item for item in found if item.endswith(f"/{name}"))
        content = client.get_object(BUCKET, path).read()
        middle = len(content) // 2
        content = content[:middle] if cut else content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        client.put_object(BUCKET, path, io.BytesIO(content), len(content))
        return path
