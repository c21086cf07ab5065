"""Horovod's key-value server, within bounds and for the job's own workers only. Imports Horovod: import it lazily."""

import logging
from collections.abc import Sequence
from typing import Any

from horovod.runner.http.http_server import RendezvousHandler, RendezvousHTTPServer  # type: ignore

from ..network import bind_without_lookup
from .base import Member

log = logging.getLogger("launcher")

_ADDRESS = 256
"""Bytes that a rank stores for each peer, at most; Gloo's addresses have 136."""
_CONTEXTS = 3
"""Gloo's contexts: global, local and cross."""
_ALLOWANCE = 16 << 20
"""Bytes for everything else, such as the contexts of a script's process sets."""
_KEY_OVERHEAD = 256
_PATH_LIMIT = 256
_MAX_WARNINGS = 16


def value_limit(ranks: int) -> int:
    """Return the maximum size of a value, in bytes."""
    return 65536 + ranks * _ADDRESS


def total_limit(ranks: int) -> int:
    """Return the maximum size of all keys and values, in bytes."""
    return _ALLOWANCE + _CONTEXTS * ranks * ranks * _ADDRESS


class BoundedHandler(RendezvousHandler):  # type: ignore[misc, unused-ignore]
    """Horovod's handler, which checks what it is asked first."""

    server: "BoundedServer"

    def do_GET(self) -> None:
        if self._split() is None:
            self.send_status_code(400)
        else:
            super().do_GET()

    def do_HEAD(self) -> None:
        """Reject what would serve the launcher's files: Horovod's handler is a file server's."""
        self.send_status_code(501)

    def do_PUT(self) -> None:
        path, length = self._split(), self.headers.get("Content-Length") or ""
        if path is None:
            self.send_status_code(400)
        elif not length.isdecimal():
            self.send_status_code(411)
        elif int(length) > self.server.value_limit:
            self.send_status_code(413)
        else:
            value = self.rfile.read(int(length))
            complete = len(value) == int(length)
            self.send_status_code(400 if not complete else 200 if self.server.put(*path, value) else 507)

    def do_DELETE(self) -> None:
        if self._split() is None:
            self.send_status_code(400)
        else:
            super().do_DELETE()

    def _split(self) -> tuple[str, str] | None:
        parts = self.path.split("/")
        return (parts[1], parts[2]) if len(parts) == 3 and len(self.path) <= _PATH_LIMIT else None


class BoundedServer(RendezvousHTTPServer):  # type: ignore[misc, unused-ignore]
    """Horovod's server; other hosts than the workers get no answer."""

    daemon_threads = True
    request_queue_size = 128
    server_bind = bind_without_lookup

    handler: type[RendezvousHandler] = BoundedHandler

    def __init__(self, address: str) -> None:
        super().__init__((address, 0), self.handler, 0)
        self.value_limit = self.total_limit = self.used = 0
        self._workers: frozenset[str] = frozenset()
        """The addresses that are answered: of the current members, of those of the last epoch, which may still ask for
        the next one, and of workers that wait for a later one."""
        self._current: frozenset[str] = frozenset()
        self._warned: set[str] = set()

    def begin(
        self,
        members: Sequence[Member],
        assignments: Sequence[Any],
        epoch: int,  # noqa: ARG002
        held: Sequence[Member] = (),
    ) -> None:
        """Begin an epoch of these members; all values of the last one are removed."""
        ranks = len(assignments)
        self.value_limit, self.total_limit = value_limit(ranks), total_limit(ranks)
        current = frozenset(address for member in (*members, *held) for address in (member.address, member.peer))
        self._workers, self._current = self._current | current, current
        self.init(assignments)
        self.used = 0

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002
        """Return whether a connection comes from a worker; Horovod's protocol has no authentication."""
        peer = str(client_address[0])
        if peer in self._workers:
            return True
        if peer not in self._warned and len(self._warned) < _MAX_WARNINGS:
            self._warned.add(peer)
            log.warning("rendezvous: rejected a connection from=%s, which is no worker of this job", peer)
        return False

    def put(self, scope: str, key: str, value: bytes) -> bool:
        """Store a value; return False if all values together would be too large."""
        with self.cache_lock:
            known = self.cache.setdefault(scope, {})
            more = len(value) - len(known[key]) if key in known else len(value) + _KEY_OVERHEAD
            if self.used + more > self.total_limit:
                # Horovod deletes values itself, so that the count may be of before
                self.used = sum(len(each) + _KEY_OVERHEAD for values in self.cache.values() for each in values.values())
                if self.used + more > self.total_limit:
                    return False
            self.used += more
            known[key] = value
            return True
