"""Horovod's elastic rendezvous: processes that have left an epoch wait here for the next one. Import it lazily."""

import logging
import re
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
        info = self.server.await_next(int(known[1]), int(known[2]), str(self.client_address[0]))
        return str(info.to_response_string()).encode()


class ElasticServer(BoundedServer):
    """Serves one epoch after the other."""

    handler = _Handler

    def __init__(self, address: str, arrived: Callable[[MemberId, int, bool], None]) -> None:
        super().__init__(address, arrived)
        self._changed = threading.Condition()
        self._epoch = -1
        self._slots: dict[tuple[int, int], SlotInfo] = {}
        self._members: dict[int, Member] = {}
        self._held: dict[int, Member] = {}
        """The workers without a place in this epoch whose processes may wait for a later one."""
        self._waiting: set[tuple[int, int]] = set()
        self._listeners: dict[int, Listener] = {}
        self._stopped = False

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
            self._waiting = {(worker, slot) for worker, slot in self._waiting if worker in self._held}
            self._changed.notify_all()

    def await_next(self, worker: int, slot: int, source: str) -> SlotInfo:
        """Wait for the epoch after the current one, which the process has left; return its place in it.

        A process is of the member that has its address: one of a worker that counts as lost has no place, even if
        another pod has taken the worker's number over.
        """
        with self._changed:
            member, left = self._members.get(worker) or self._held.get(worker), self._epoch
            if member is None or slot >= member.slots or source not in (member.address, member.peer):
                return INVALID_SLOT_INFO
            self._waiting.add((worker, slot))
            complete = all((worker, other) in self._waiting for other in range(member.slots))
        # not under the lock: the launcher holds its own one when it begins an epoch
        self.arrived(MemberId(worker, member.instance), left, complete)
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or (self._epoch > left and not self._is_held(member)))
            known = self._find(worker, member.instance)
            return INVALID_SLOT_INFO if known is None else self._slots.get((worker, slot), INVALID_SLOT_INFO)

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

    def _add_listener(self, worker: int, value: bytes) -> None:
        try:
            listener = read_listener(value)
        except ListenerError as error:
            log.warning("worker %d: cannot be told of the next epoch: %s", worker, error)
            return
        with self._changed:
            if worker in self._members:
                self._listeners[worker] = listener

    def _is_held(self, member: Member) -> bool:
        held = self._held.get(member.worker)
        return held is not None and held.instance == member.instance

    def _find(self, worker: int, instance: str) -> Member | None:
        member = self._members.get(worker)
        return member if member is not None and member.instance == instance else None


def _index(info: SlotInfo) -> int:
    return int(info.hostname.removeprefix("worker-"))
