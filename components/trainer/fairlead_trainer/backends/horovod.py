"""Horovod on Gloo without SSH: Horovod's rendezvous server, with environment variables instead of `horovodrun`."""

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .base import Launch, Member, Rendezvous, Slot

_PEER_LOST = (
    "HorovodInternalError",
    "Horovod has been shut down",
    "Connection closed by peer",
    "Connection reset by peer",
)
_CONNECT_SECONDS = 120
"""Gloo's timeout in runs of a fixed size: processes import torch at different speeds, on busy nodes slowly."""
_ELASTIC_CONNECT_SECONDS = 30
"""Horovod's default, in elastic runs: their processes connect once all of them are ready."""
_STARTUP = Path(__file__).with_name("horovod_startup")
_NO_PLACE = "-1"
"""The rank of a process without a place, as Horovod's rendezvous says it."""


class HorovodBackend:
    """Horovod 0.28 runs, of a fixed size or elastic ones."""

    module, requirement = "horovod", "horovod==0.28.1"
    restarts = False
    notice_seconds = float(_ELASTIC_CONNECT_SECONDS)

    def begin(self, launch: Launch) -> Rendezvous:
        """Begin a run; Horovod's rendezvous starts once the workers are known."""
        return _HorovodRendezvous(launch)

    def extend(self, environment: Mapping[str, str]) -> Mapping[str, str]:
        """Return the path on which a process finds what lets it wait for a place, if it starts without one."""
        if environment.get("HOROVOD_RANK") != _NO_PLACE:
            return {}
        others = environment.get("PYTHONPATH")
        return {"PYTHONPATH": f"{_STARTUP}{os.pathsep}{others}" if others else str(_STARTUP)}

    def is_consequence(self, log_tail: str) -> bool:
        """Return whether a process failed because Horovod lost a peer."""
        return any(words in log_tail for words in _PEER_LOST)


class _HorovodRendezvous:
    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._server: Any = None
        self._thread: threading.Thread | None = None
        self._notice: threading.Thread | None = None

    def prepare(self, member: Member) -> Sequence[Slot]:
        """Return processes without a rank; Horovod's server starts on a free port with the first ones."""
        from horovod.runner.common.util.hosts import SlotInfo  # type: ignore
        from horovod.runner.gloo_run import create_slot_env_vars  # type: ignore

        server = self._start()
        server.admit(member)
        common = _build_environment(member, self._launch, server.server_port)
        name, size = f"worker-{member.worker}", member.slots
        places = [SlotInfo(name, -1, local, -1, -1, size, -1) for local in range(size)]
        return [
            Slot(member.worker * member.slots + place.local_rank, create_slot_env_vars(place) | common)
            for place in places
        ]

    def look(self) -> None:
        """Report the processes that waited for an epoch and are gone."""
        if self._launch.elastic and self._server is not None:
            self._server.look()

    def assign(self, members: Sequence[Member], epoch: int, held: Sequence[Member] = ()) -> dict[int, list[Slot]]:
        """Assign ranks in the order of the members; Horovod's server starts on a free port if it does not run yet."""
        # Imported lazily: agents and most tests do not need Horovod.
        from horovod.runner.common.util.hosts import HostInfo, get_host_assignments
        from horovod.runner.gloo_run import create_slot_env_vars

        hosts = [HostInfo(f"worker-{member.worker}", member.slots) for member in members]
        assignments = get_host_assignments(hosts, sum(member.slots for member in members))
        if epoch > 0 and not self._launch.elastic:
            raise ValueError(f"epoch: got {epoch}, expected 0: a run of a fixed size has one epoch")
        self._start().begin(members, assignments, epoch, held)
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

    def _start(self) -> Any:
        """Return Horovod's server; start it if it does not run yet."""
        if self._server is None:
            from .horovod_elastic import ElasticServer
            from .horovod_server import BoundedServer

            launch = self._launch
            if launch.elastic:
                self._server = ElasticServer(launch.bind_address, launch.arrived, launch.gone)
            else:
                self._server = BoundedServer(launch.bind_address)
            self._thread = threading.Thread(target=self._server.serve_forever, name="rendezvous", daemon=True)
            self._thread.start()
        return self._server


def _build_environment(member: Member, launch: Launch, port: int) -> dict[str, str]:
    elastic = {"HOROVOD_ELASTIC": "1"} if launch.elastic else {}
    seconds = _ELASTIC_CONNECT_SECONDS if launch.elastic else _CONNECT_SECONDS
    return elastic | {
        "HOROVOD_CONTROLLER": "gloo",
        "HOROVOD_CPU_OPERATIONS": "gloo",
        "HOROVOD_GLOO_IFACE": member.interface,
        "NCCL_SOCKET_IFNAME": member.interface,
        "HOROVOD_GLOO_RENDEZVOUS_ADDR": launch.address,
        "HOROVOD_GLOO_RENDEZVOUS_PORT": str(port),
        "HOROVOD_GLOO_TIMEOUT_SECONDS": str(seconds),
    }
