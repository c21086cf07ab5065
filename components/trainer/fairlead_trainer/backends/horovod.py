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
    """Horovod 0.28 runs, of a fixed size or elastic ones."""

    module, requirement = "horovod", "horovod==0.28.1"
    restarts = False
    notice_seconds = float(_CONNECT_SECONDS)

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
        self._notice: threading.Thread | None = None

    def assign(self, members: Sequence[Member], epoch: int, held: Sequence[Member] = ()) -> dict[int, list[Slot]]:
        """Assign ranks in the order of the members; Horovod's server starts on a free port for the first epoch."""
        # Imported lazily: agents and most tests do not need Horovod.
        from horovod.runner.common.util.hosts import HostInfo, get_host_assignments  # type: ignore
        from horovod.runner.gloo_run import create_slot_env_vars  # type: ignore

        hosts = [HostInfo(f"worker-{member.worker}", member.slots) for member in members]
        assignments = get_host_assignments(hosts, sum(member.slots for member in members))
        self._serve(members, assignments, epoch, held)
        slots: dict[int, list[Slot]] = {}
        for member in members:
            common = _build_environment(member, self._launch, self._server.server_port)
            slots[member.worker] = [
                Slot(info.rank, create_slot_env_vars(info) | common)
                for info in assignments
                if info.hostname == f"worker-{member.worker}"
            ]
        return slots

    def announce(self, members: Sequence[Member], since: float) -> None:
        """Notify the process with rank 0, which lets all processes know when they commit.

        The launcher does not wait for a process that does not answer, and sends it one notice at a time.
        """
        from .horovod_notice import notify

        listener = self._server.find_listener(members[0].worker)
        if listener is None or (self._notice is not None and self._notice.is_alive()):
            return
        self._notice = threading.Thread(target=notify, args=(listener, members[0], since), name="notice", daemon=True)
        self._notice.start()

    def stop(self) -> None:
        """Stop Horovod's server."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def _serve(self, members: Sequence[Member], assignments: Sequence[Any], epoch: int, held: Sequence[Member]) -> None:
        if self._server is None:
            from .horovod_elastic import ElasticServer
            from .horovod_server import BoundedServer

            kind = ElasticServer if self._launch.elastic else BoundedServer
            self._server = kind(self._launch.bind_address, self._launch.arrived)
            self._server.begin(members, assignments, epoch, held)
            self._thread = threading.Thread(target=self._server.serve_forever, name="rendezvous", daemon=True)
            self._thread.start()
        elif self._launch.elastic:
            self._server.begin(members, assignments, epoch, held)
        else:
            raise ValueError(f"epoch: got {epoch}, expected 0: a run of a fixed size has one epoch")


def _build_environment(member: Member, launch: Launch, port: int) -> dict[str, str]:
    elastic = {"HOROVOD_ELASTIC": "1"} if launch.elastic else {}
    return elastic | {
        "HOROVOD_CONTROLLER": "gloo",
        "HOROVOD_CPU_OPERATIONS": "gloo",
        "HOROVOD_GLOO_IFACE": member.interface,
        "NCCL_SOCKET_IFNAME": member.interface,
        "HOROVOD_GLOO_RENDEZVOUS_ADDR": launch.address,
        "HOROVOD_GLOO_RENDEZVOUS_PORT": str(port),
        # Processes import torch at different speeds; Horovod's default of 30 s is too short for a busy node.
        "HOROVOD_GLOO_TIMEOUT_SECONDS": str(_CONNECT_SECONDS),
    }
