"""Horovod on Gloo without SSH: Horovod's rendezvous server, with environment variables instead of `horovodrun`."""

import threading
from collections.abc import Sequence
from typing import Any

from .base import Launch, Member, Rendezvous, Slot

_PEER_LOST = (
    "HorovodInternalError",
    "Horovod has been shut down",
    "Connection closed by peer",
    "Connection reset by peer",
)
_CONNECT_SECONDS = 120


class HorovodBackend:
    """Fixed-size Horovod 0.28 runs."""

    def begin(self, launch: Launch) -> Rendezvous:
        """Begin a run; Horovod's rendezvous starts once the workers are known."""
        return _HorovodRendezvous(launch)

    def is_consequence(self, log_tail: str) -> bool:
        """Return whether a process failed because Horovod lost a peer."""
        return any(words in log_tail for words in _PEER_LOST)


class _HorovodRendezvous:
    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._server: Any = None
        self._thread: threading.Thread | None = None

    def assign(self, members: Sequence[Member], epoch: int) -> dict[int, list[Slot]]:
        """Start Horovod's server on a free port and assign ranks in the order of the members."""
        if self._server is not None:
            raise ValueError(f"epoch: got {epoch}, expected 0: a run of a fixed size has one epoch")
        # Imported lazily: agents and most tests do not need Horovod.
        from horovod.runner.common.util.hosts import HostInfo, get_host_assignments  # type: ignore
        from horovod.runner.gloo_run import create_slot_env_vars  # type: ignore

        from .horovod_server import BoundedServer

        hosts = [HostInfo(f"worker-{member.worker}", member.slots) for member in members]
        assignments = get_host_assignments(hosts, sum(member.slots for member in members))
        addresses = {address for member in members for address in (member.address, member.peer)}
        self._server = BoundedServer(self._launch.bind_address, len(assignments), addresses)
        self._server.init(assignments)
        self._thread = threading.Thread(target=self._server.serve_forever, name="rendezvous", daemon=True)
        self._thread.start()
        slots: dict[int, list[Slot]] = {}
        for member in members:
            common = _build_environment(member, self._launch.address, self._server.server_port)
            slots[member.worker] = [
                Slot(info.rank, create_slot_env_vars(info) | common)
                for info in assignments
                if info.hostname == f"worker-{member.worker}"
            ]
        return slots

    def stop(self) -> None:
        """Stop Horovod's server."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


def _build_environment(member: Member, address: str, port: int) -> dict[str, str]:
    return {
        "HOROVOD_CONTROLLER": "gloo",
        "HOROVOD_CPU_OPERATIONS": "gloo",
        "HOROVOD_GLOO_IFACE": member.interface,
        "NCCL_SOCKET_IFNAME": member.interface,
        "HOROVOD_GLOO_RENDEZVOUS_ADDR": address,
        "HOROVOD_GLOO_RENDEZVOUS_PORT": str(port),
        # Processes import torch at different speeds; Horovod's default of 30 s is too short for a busy node.
        "HOROVOD_GLOO_TIMEOUT_SECONDS": str(_CONNECT_SECONDS),
    }
