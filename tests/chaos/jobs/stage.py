"""Where a life takes place: the cluster, the store, and the job that it is about."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead.core import names
from fairlead_cluster.local.node.processes import find_processes

from tests.chaos.jobs.store import ObjectStore
from tests.local.support import LocalCluster

Object = dict[str, Any]
_DISK_SIZE = "256m"
_WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Stage:
    """One life's surroundings."""

    cluster: LocalCluster
    store: ObjectStore
    job: str
    """The job's name."""

    @property
    def pods_folder(self) -> Path:
        """The node's disk."""
        return self.cluster.home / "cluster" / "pods"

    @property
    def filler(self) -> Path:
        """The file that fills the node's disk."""
        return self.pods_folder / ".filler"

    def patch(self, spec: Object) -> None:
        """Change the job's spec."""
        self.cluster.kubectl("patch", "tj", self.job, "--type=merge", "-p", json.dumps({"spec": spec}))

    def delete(self, kind: str, name: str) -> None:
        """Delete an object."""
        self.cluster.kubectl("delete", kind, name, "--wait=false")

    def list_pods(self) -> list[Object]:
        """Return the job's pods."""
        return self.cluster.list("pods", f"{names.JOB}={self.job}")

    def wait_for_no_pods(self) -> None:
        """Wait until the job has no pod."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while self.list_pods():
            assert time.monotonic() < deadline, f"{self.job} has pods {_WAIT_SECONDS:g} s after its suspension"
            time.sleep(0.2)

    def signal(self, pod: str, number: int, *, agents_too: bool = True) -> None:
        """Send a signal to the processes of a pod of the job; without `agents_too`, to the training's alone."""
        for folder in self.pods_folder.glob(f"default_{self.job}-{pod}_*"):
            for process in find_processes(folder):
                try:
                    content = Path(f"/proc/{process.pid}/environ").read_bytes()
                    program = Path(f"/proc/{process.pid}/cmdline").read_bytes()
                except OSError:
                    continue  # it has just ended
                if b"/local/node/shim" in program:
                    continue  # the node's, as containerd's shim is
                if agents_too or b"\0FAIRLEAD_MODEL_DIR=" in b"\0" + content:
                    process.signal(number)


@contextmanager
def small_disk(cluster: LocalCluster) -> Iterator[None]:
    """Give the pods of the node a disk of their own during the block, so that it can be filled; needs root."""
    folder = cluster.home / "cluster" / "pods"
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK_SIZE}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
