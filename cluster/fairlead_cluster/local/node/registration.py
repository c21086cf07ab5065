"""The Node object, its lease and its heartbeats."""

import asyncio
import os
import platform

from fairlead.kube.client import KubeClient
from fairlead.kube.kinds import LEASE, NODE

from fairlead_cluster.local.node.objects import Object, micro_timestamp, timestamp

NAME = "local"
_RENEW_SECONDS, _LEASE_SECONDS = 10.0, 40
_PODS = "250"


async def register(client: KubeClient, port: int) -> None:
    """Create the Node object, ready for pods; `port` serves their logs."""
    labels = {
        "kubernetes.io/hostname": NAME,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
    }
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NAME, "labels": labels}}
    await client.apply(NODE, node)
    await _renew(client)
    await client.patch(NODE, NAME, {"status": _status(port, timestamp())}, subresource="status")


async def keep_alive(client: KubeClient, port: int) -> None:
    """Renew the lease and the conditions indefinitely: the controllers change them when a laptop has slept."""
    ready_since = timestamp()
    while True:
        await asyncio.sleep(_RENEW_SECONDS)
        await _renew(client)
        await client.patch(NODE, NAME, {"status": _status(port, ready_since)}, subresource="status")


async def _renew(client: KubeClient) -> None:
    spec = {"holderIdentity": NAME, "leaseDurationSeconds": _LEASE_SECONDS, "renewTime": micro_timestamp()}
    lease = {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.kind,
        "metadata": {"name": NAME, "namespace": "kube-node-lease"},
        "spec": spec,
    }
    await client.apply(LEASE, lease)


def _status(port: int, ready_since: str) -> Object:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024
    resources = {"cpu": str(os.cpu_count() or 1), "memory": f"{memory}Ki", "pods": _PODS}
    conditions = {
        "Ready": ("True", "ProcessNode", "pods run as processes of this machine, without isolation"),
        "MemoryPressure": ("False", "NotWatched", ""),
        "DiskPressure": ("False", "NotWatched", ""),
        "PIDPressure": ("False", "NotWatched", ""),
    }
    return {
        "capacity": resources,
        "allocatable": resources,
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": NAME}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "nodeInfo": {
            "machineID": "",
            "systemUUID": "",
            "bootID": "",
            "kernelVersion": platform.release(),
            "osImage": "processes",
            "containerRuntimeVersion": "process://1",
            "kubeletVersion": "v1.34.4-fairlead",
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": platform.machine(),
        },
        "conditions": [
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": timestamp(),
                "lastTransitionTime": ready_since,
            }
            for kind, (status, reason, message) in conditions.items()
        ],
    }
