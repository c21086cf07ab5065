"""Simulated nodes: real Node objects whose kubelets start pods when a scheduler has bound them, and stop deleted ones.

They do only what a kubelet does: a pod without a node is never touched, and one that is deleted goes when its
containers have ended. Finalizers, gates and conditions of others are left as they are.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from fairlead.core import names
from fairlead_contracts.termination import STOPPED_CODE

from tests.support.api_server import Kubectl

Object = dict[str, Any]
CAPACITY = {"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "10Gi"}
_LEASES = "kube-node-lease"
_LEASE_SECONDS = 10.0
_LOOK_SECONDS = 0.3


class Nodes:
    """The nodes of a cluster and what runs on them."""

    def __init__(self, kubectl: Kubectl, address: str, count: int) -> None:
        self._kubectl = kubectl
        self._address = address
        self.names = [f"node-{index}" for index in range(count)]
        self.held: set[str] = set()
        """The jobs whose pods do not start, such as while their images are pulled."""

    def create(self) -> None:
        """Create the nodes, ready."""
        for name in self.names:
            labels = {"kubernetes.io/hostname": name}
            self._kubectl.apply(
                {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": {}}
            )
            ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": _now()}
            status = {"capacity": CAPACITY, "allocatable": CAPACITY, "conditions": [ready]}
            self._patch("node", name, {"status": status})
            # put on new nodes by an admission plugin, taken off by the node's controller a while later
            self._kubectl("taint", "node", name, "node.kubernetes.io/not-ready-", check=False)

    def run(self, stopped: threading.Event) -> None:
        """Run pods until stopped."""
        renewed = 0.0
        while not stopped.wait(_LOOK_SECONDS):
            if time.monotonic() - renewed > _LEASE_SECONDS:
                self._renew_leases()
                renewed = time.monotonic()
            for pod in self._kubectl.list("pods"):
                self._sync(pod)

    def _sync(self, pod: Object) -> None:
        if pod["spec"].get("nodeName") not in self.names:
            return
        phase, deleting = pod.get("status", {}).get("phase"), pod["metadata"].get("deletionTimestamp")
        try:
            if deleting and phase not in ("Succeeded", "Failed"):
                self.end(pod, STOPPED_CODE)
            if deleting:
                self._remove(pod)
            elif phase == "Pending" and pod["metadata"]["labels"][names.JOB] not in self.held:
                self._start(pod)
        except AssertionError as error:
            if "(NotFound)" not in str(error) and "(Conflict)" not in str(error):  # gone, or another has its name
                raise

    def end(self, pod: Object, code: int, message: str = "") -> None:
        """Let the container of a pod end."""
        state = {"terminated": {"exitCode": code, "message": message, "finishedAt": _now(), "containerID": "x"}}
        ready = [{"type": "Ready", "status": "False", "reason": "PodFailed" if code else "PodCompleted"}]
        status = {"phase": "Failed" if code else "Succeeded", "conditions": ready}
        self._patch_pod(pod, status | {"containerStatuses": _containers(pod, state)})

    def _start(self, pod: Object) -> None:
        state = {"running": {"startedAt": _now()}}
        status = {
            "phase": "Running", "startTime": _now(), "podIP": self._address, "podIPs": [{"ip": self._address}],
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": _containers(pod, state),
        }  # fmt: skip
        self._patch_pod(pod, status)

    def _remove(self, pod: Object) -> None:
        meta = pod["metadata"]
        if meta.get("deletionGracePeriodSeconds") == 0:
            return  # only finalizers of others are left
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
        options["preconditions"] = {"uid": meta["uid"]}
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        self._kubectl("delete", "--raw", path, "-f", "-", stdin=json.dumps(options))

    def _patch_pod(self, pod: Object, status: Object) -> None:
        meta = pod["metadata"]
        self._patch("pod", meta["name"], {"metadata": {"uid": meta["uid"]}, "status": status})

    def _patch(self, kind: str, name: str, patch: Object) -> None:
        """Patch a status so that conditions of others stay."""
        words = ("patch", kind, name, "--subresource", "status", "--type", "strategic")
        self._kubectl(*words, "-p", json.dumps(patch))

    def _renew_leases(self) -> None:
        """Say that the nodes live, before their controller takes them for lost."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        for name in self.names:
            meta = {"name": name, "namespace": _LEASES}
            spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now}
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec}
            self._kubectl.apply(lease)


@contextmanager
def running_nodes(kubectl: Kubectl, address: str, count: int = 2) -> Iterator[Nodes]:
    """Run nodes during the block."""
    nodes, stopped = Nodes(kubectl, address, count), threading.Event()
    nodes.create()
    thread = threading.Thread(target=nodes.run, args=(stopped,))
    thread.start()
    try:
        yield nodes
    finally:
        stopped.set()
        thread.join()


def _containers(pod: Object, state: Object) -> list[Object]:
    main = names.MAIN_CONTAINERS[pod["metadata"]["labels"][names.ROLE]]
    return [{
        "name": main, "ready": "running" in state, "state": state, "image": "x", "imageID": "x", "restartCount": 0,
    }]  # fmt: skip


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
