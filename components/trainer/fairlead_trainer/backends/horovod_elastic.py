"""Horovod's elastic rendezvous: processes that have left an epoch, and new ones, wait here for the next one.

Imports Horovod: import it lazily.
"""

import contextlib
import logging
import re
import select
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

from horovod.runner.common.util.hosts import INVALID_SLOT_INFO, SlotInfo  # type: ignore

from ..membership import MemberId
from .base import Member
from .horovod_listener import Listener, ListenerError, read_listener
from .horovod_server import BoundedHandler, BoundedServer

log = logging.getLogger("launcher")

_NEXT, _LISTENERS = "rank_and_size", "worker_addresses"
"""Horovod's scopes: what a process becomes in the next epoch, and where it listens for notices."""
_KEY = re.compile(r"worker-([0-9]{1,3}):([0-9]{1,2})")


class _Handler(BoundedHandler):
    server: "ElasticServer"

    def _get_value(self, scope: str, key: str) -> bytes | None:
        known = _KEY.fullmatch(key)
        if scope != _NEXT or known is None:
            value: bytes | None = super()._get_value(scope, key)
            return value
        _keep_alive(self.connection)
        info = self.server.await_next(int(known[1]), int(known[2]), str(self.client_address[0]), self.connection)
        return str(info.to_response_string()).encode()

    def do_GET(self) -> None:
        # a process that is gone has nobody to read its answer
        with contextlib.suppress(ConnectionError):
            super().do_GET()


class ElasticServer(BoundedServer):
    """Serves one epoch after the other."""

    handler = _Handler

    def __init__(
        self, address: str, arrived: Callable[[MemberId, int, bool], None], gone: Callable[[MemberId], None]
    ) -> None:
        super().__init__(address)
        self.arrived, self.gone = arrived, gone
        self._changed = threading.Condition()
        self._epoch = -1
        self._slots: dict[tuple[int, int], SlotInfo] = {}
        self._members: dict[int, Member] = {}
        self._held: dict[int, Member] = {}
        """The workers without a place in this epoch whose processes may wait for a later one."""
        self._waiting: dict[tuple[int, int], socket.socket] = {}
        """The processes that wait, by worker and slot, and their connections."""
        self._listeners: dict[int, Listener] = {}
        self._stopped = False

    def admit(self, member: Member) -> None:
        """Let the processes of a new worker wait for a later epoch.

        If the current one still has an earlier life of this worker, that one is lost: its processes have no place.
        """
        with self._changed:
            self._held[member.worker] = member
            self._members.pop(member.worker, None)
            self._forget(member.worker)
            self._workers |= {member.address, member.peer}
            self._changed.notify_all()

    def begin(
        self, members: Sequence[Member], assignments: Sequence[Any], epoch: int, held: Sequence[Member] = ()
    ) -> None:
        """Begin an epoch: answer the processes that wait for it, unless they are held for a later one."""
        with self._changed:
            staying = {m.worker for m in members if self._find(m.worker, m.instance) is not None}
            self._listeners = {worker: known for worker, known in self._listeners.items() if worker in staying}
            self._members = {member.worker: member for member in members}
            self._slots = {(_index(info), info.local_rank): info for info in assignments}
            # a process learns its rank after the values of the last epoch have gone
            super().begin(members, assignments, epoch, held)
            self._epoch = epoch
            self._held = {member.worker: member for member in held}
            self._waiting = {key: known for key, known in self._waiting.items() if key[0] in self._held}
            self._changed.notify_all()

    def await_next(self, worker: int, slot: int, source: str, connection: socket.socket) -> SlotInfo:
        """Wait for the next epoch that has a place for a process; return it, or the absence of one.

        A process is of the member that has its address: one of a worker that counts as lost has no place, even if
        another pod has taken the worker's number over.
        """
        with self._changed:
            member, left = self._members.get(worker) or self._held.get(worker), self._epoch
            if member is None or slot >= member.slots or source not in (member.address, member.peer):
                return INVALID_SLOT_INFO
            self._waiting[worker, slot] = connection
            complete = all((worker, other) in self._waiting for other in range(member.slots))
        # not under the lock: the launcher holds its own one when it begins an epoch
        self.look()
        self.arrived(MemberId(worker, member.instance), left, complete)
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._waiting.get((worker, slot)) is not connection)
            if self._epoch == left or self._find(worker, member.instance) is None:
                return INVALID_SLOT_INFO  # another process has its place
            return self._slots.get((worker, slot), INVALID_SLOT_INFO)

    def look(self) -> None:
        """Report the workers with a process that waited and has closed its connection: most likely it is dead.

        An epoch with it would not connect.
        """
        with self._changed:
            gone = {key: self._members.get(key[0]) or self._held.get(key[0]) for key in self._find_closed()}
            for worker, slot in gone:
                del self._waiting[worker, slot]
            self._changed.notify_all()
        for member in gone.values():
            if member is not None:
                self.gone(MemberId(member.worker, member.instance))

    def put(self, scope: str, key: str, value: bytes) -> bool:
        """Store a value; return False if all values together would be too large."""
        known = _KEY.fullmatch(key)
        if scope != _LISTENERS or known is None:
            return super().put(scope, key, value)
        if known[2] == "0":
            self._add_listener(int(known[1]), value)
        return True

    def find_listener(self, worker: int) -> Listener | None:
        """Return where a worker's first process listens, if it has said so."""
        with self._changed:
            return self._listeners.get(worker)

    def shutdown(self) -> None:
        """Stop; processes that wait learn that there is no next epoch."""
        with self._changed:
            self._stopped = True
            self._slots = {}
            self._changed.notify_all()
        super().shutdown()

    def _find_closed(self) -> list[tuple[int, int]]:
        keys = {connection.fileno(): key for key, connection in self._waiting.items()}
        poll = select.poll()
        for number in keys:
            if number >= 0:
                poll.register(number, select.POLLRDHUP)
        closed = [keys[number] for number, _ in poll.poll(0)]
        return closed + ([keys[-1]] if -1 in keys else [])

    def _forget(self, worker: int) -> None:
        """Let the processes go that wait as this worker: another one has taken its place."""
        self._waiting = {key: known for key, known in self._waiting.items() if key[0] != worker}

    def _add_listener(self, worker: int, value: bytes) -> None:
        try:
            listener = read_listener(value)
        except ListenerError as error:
            log.warning("worker %d: cannot be notified of the next epoch: %s", worker, error)
            return
        with self._changed:
            if worker in self._members:
                self._listeners[worker] = listener

    def _find(self, worker: int, instance: str) -> Member | None:
        member = self._members.get(worker)
        return member if member is not None and member.instance == instance else None


def _keep_alive(connection: socket.socket) -> None:
    """Keep a connection from being dropped as idle: a process may wait for long, and would never see its answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3)):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)


def _index(info: SlotInfo) -> int:
    return int(info.hostname.removeprefix("worker-"))
