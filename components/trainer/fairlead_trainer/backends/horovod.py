"""Horovod on Gloo without SSH: Horovod's rendezvous server, with environment variables instead of `horovodrun`."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .base import Member, Rendezvous, Slot

_PEER_LOST = (
    "HorovodInternalError",
    "Horovod has been shut down",
    "Connection closed by peer",
    "Connection reset by peer",
)
_CONNECT_SECONDS = 120


class HorovodBackend:
    """Fixed-size Horovod 0.28 runs."""

    def start(self, members: Sequence[Member], bind_address: str, address: str) -> Rendezvous:
        """Start Horovod's rendezvous on a free port and assign ranks in the order of workers."""
        # Imported lazily: agents and most tests do not need Horovod.
        from horovod.runner.common.util.hosts import HostInfo, get_host_assignments  # type: ignore
        from horovod.runner.gloo_run import create_slot_env_vars  # type: ignore

        from .horovod_server import BoundedServer

        hosts = [HostInfo(f"worker-{member.worker}", member.slots) for member in members]
        assignments = get_host_assignments(hosts, sum(member.slots for member in members))
        addresses = {address for member in members for address in (member.address, member.peer)}
        server = BoundedServer(bind_address, len(assignments), addresses)
        server.init(assignments)
        slots: dict[int, list[Slot]] = {}
        for member in members:
            common = _build_environment(member, address, server.server_port)
            slots[member.worker] = [
                Slot(info.rank, create_slot_env_vars(info) | common)
                for info in assignments
                if info.hostname == f"worker-{member.worker}"
            ]
        thread = threading.Thread(target=server.serve_forever, name="rendezvous", daemon=True)
        thread.start()
        return _HorovodRendezvous(slots, server, thread)

    def is_consequence(self, log_tail: str) -> bool:
        """Return whether a process failed because Horovod lost a peer."""
        return any(words in log_tail for words in _PEER_LOST)


@dataclass(frozen=True)
class _HorovodRendezvous:
    slots: dict[int, list[Slot]]
    server: Any
    thread: threading.Thread

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def _build_environment(member: Member, address: str, port: int) -> dict[str, str]:
    return {
        "HOROVOD_CONTROLLER": "gloo",
        "HOROVOD_CPU_OPERATIONS": "gloo",
        "HOROVOD_GLOO_IFACE": member.interface,
        "HOROVOD_GLOO_RENDEZVOUS_ADDR": address,
        "HOROVOD_GLOO_RENDEZVOUS_PORT": str(port),
        # Processes import torch at different speeds; Horovod's default of 30 s is too short for a busy node.
        "HOROVOD_GLOO_TIMEOUT_SECONDS": str(_CONNECT_SECONDS),
    }
