"""The ways in which a worker of the local cluster is lost."""

import signal
from collections.abc import Callable
from pathlib import Path

from fairlead_cluster.base.daemons import ProcessId
from fairlead_cluster.local.node.processes import find_processes

from tests.local.support import LocalCluster


def kill_process(cluster: LocalCluster, pod: str) -> None:
    """Kill the training's process."""
    _kill(cluster, pod, lambda command, trains: trains)


def kill_agent(cluster: LocalCluster, pod: str) -> None:
    """Kill the agent; the kernel ends its processes with it, and nobody reports the loss."""
    _kill(cluster, pod, lambda command, trains: b"fairlead-agent" in command and not trains)


def delete_pod(cluster: LocalCluster, pod: str) -> None:
    """Delete the pod as a drained node does: its agent may let the others go on after their next commit."""
    cluster.kubectl("delete", "pod", pod, "--wait=false")


def delete_pod_at_once(cluster: LocalCluster, pod: str) -> None:
    """Delete the pod without a grace period."""
    cluster.kubectl("delete", "pod", pod, "--grace-period=0", "--force", "--wait=false")


WAYS: dict[str, Callable[[LocalCluster, str], None]] = {
    "process killed": kill_process,
    "agent killed": kill_agent,
    "pod deleted": delete_pod,
    "pod deleted at once": delete_pod_at_once,
}


def list_pod_processes(cluster: LocalCluster) -> list[ProcessId]:
    """Return the running processes of all pods."""
    return find_processes(cluster.home / "cluster" / "pods")


def _kill(cluster: LocalCluster, pod: str, chosen: Callable[[bytes, bool], bool]) -> None:
    """Kill the chosen processes of a pod; they may have ended by themselves."""
    for folder in (cluster.home / "cluster" / "pods").glob(f"default_{pod}_*"):
        for process in find_processes(folder):
            try:
                command = Path(f"/proc/{process.pid}/cmdline").read_bytes()
                content = Path(f"/proc/{process.pid}/environ").read_bytes()
            except OSError:
                continue
            if chosen(command, b"\0FAIRLEAD_MODEL_DIR=" in b"\0" + content):
                process.signal(signal.SIGKILL)
