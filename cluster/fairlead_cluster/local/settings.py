"""The settings that a local cluster chooses at its first start: addresses, ports and tokens."""

import json
import secrets
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from fairlead_cluster.local.slots import claim_slot


@dataclass(frozen=True)
class ClusterSettings:
    """Fixed until `down`; kept in a private file, because the tokens give access to the cluster."""

    slot: int
    """Which 127.x ranges this cluster uses, so that two clusters on one machine do not collide."""
    etcd_port: int
    etcd_peer_port: int
    api_port: int
    node_port: int
    operator_port: int
    tokens: dict[str, str]

    @property
    def service_range(self) -> str:
        """The cluster IPs of Services: loopback addresses, so that the node can listen on them."""
        return f"127.{96 + self.slot}.0.0/16"

    @property
    def first_service_address(self) -> str:
        """The cluster IP of the Service `kubernetes`."""
        return f"127.{96 + self.slot}.0.1"

    @property
    def pod_range(self) -> str:
        """The addresses of pods."""
        return f"127.{64 + self.slot}.0.0/16"

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://127.0.0.1:{self.api_port}"


def load_settings(folder: Path) -> ClusterSettings:
    """Return the settings of the cluster in `folder`, chosen now if it is new."""
    path = folder / "settings.json"
    if path.exists():
        return ClusterSettings(**json.loads(path.read_text()))
    settings = _choose(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(asdict(settings)))
    return settings


def _choose(folder: Path) -> ClusterSettings:
    ports = _free_ports(5)
    users = ("admin", "node", "controller-manager", "scheduler")
    return ClusterSettings(
        slot=claim_slot(folder),
        etcd_port=ports[0],
        etcd_peer_port=ports[1],
        api_port=ports[2],
        node_port=ports[3],
        operator_port=ports[4],
        tokens={user: secrets.token_hex(16) for user in users},
    )


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]
    finally:
        for item in sockets:
            item.close()
