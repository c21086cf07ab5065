"""Makes a Seldon microservice listen on its pod's address only, which its wrapper does not support.

Used through PYTHONPATH with FAIRLEAD_BIND_ADDRESS set (docs/architecture.md), where pods are processes.
"""

import os
import socket
from typing import Any

_ADDRESS = os.environ.get("FAIRLEAD_BIND_ADDRESS")
_EVERYWHERE = ("", "0.0.0.0")


def _stay_on(address: str) -> None:
    bind = socket.socket.bind

    def bind_there(self: socket.socket, target: Any) -> None:
        if self.family == socket.AF_INET and target[0] in _EVERYWHERE:
            target = (address, *target[1:])
        bind(self, target)

    socket.socket.bind = bind_there  # type: ignore[method-assign]
    try:
        from grpc import _server
    except ImportError:
        return
    add_port = _server._Server.add_insecure_port

    def add_port_there(self: Any, target: str) -> int:
        host, _, port = target.rpartition(":")
        return add_port(self, f"{address}:{port}" if host in _EVERYWHERE else target)

    _server._Server.add_insecure_port = add_port_there


if _ADDRESS:
    _stay_on(_ADDRESS)
