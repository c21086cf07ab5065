"""A real API server for tests with the CRDs, and the operator as a process with only its own permissions."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from fairlead_cluster.base.home import CHECKOUT, Home, default_home
from fairlead_cluster.local.control_plane import ControlPlane

from tests.support.reader import list_objects, read_object

Object = dict[str, Any]
OPERATOR_NAMESPACE = "fairlead-system"


@dataclass
class Kubectl:
    """Runs kubectl against an API server."""

    kubeconfig: Path

    def __call__(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl and return its output, including errors if `check` is False."""
        kubectl = Home(default_home()).bin / "kubectl"
        command = [str(kubectl), "--kubeconfig", str(self.kubeconfig), *arguments]
        done = subprocess.run(command, input=stdin, text=True, capture_output=True, check=False)
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout + ("" if check else done.stderr)

    def apply(self, obj: Object) -> None:
        """Apply an object."""
        self("apply", "-f", "-", stdin=json.dumps(obj))

    def get(self, kind: str, name: str, namespace: str = "default") -> Object:
        """Return an object; empty if it does not exist."""
        return read_object(self.kubeconfig, kind, name, namespace) or {}

    def list(self, kind: str, namespace: str = "default", labels: str = "") -> list[Object]:
        """Return the objects of a kind."""
        return list_objects(self.kubeconfig, kind, namespace, labels)

    def patch_status(self, kind: str, name: str, status: Object, namespace: str = "default") -> None:
        """Patch a status, as the object's controller would."""
        patch = json.dumps({"status": status})
        self("patch", kind, name, "-n", namespace, "--subresource", "status", "--type", "merge", "-p", patch)

    def run_pods(self, labels: str, address_of: Callable[[Object], str]) -> None:
        """Make the pods with these labels ready, as kubelets would, each at its address; a pod may go meanwhile."""
        for pod in self.list("pods", labels=labels):
            meta = pod["metadata"]
            if condition(pod, "Ready") or meta.get("deletionTimestamp"):
                continue
            address, ready = address_of(pod), [{"type": "Ready", "status": "True"}]
            known = {"phase": "Running", "conditions": ready, "podIP": address, "podIPs": [{"ip": address}]}
            try:
                self.patch_status("pod", meta["name"], known)
            except AssertionError as error:
                if "(NotFound)" not in str(error):
                    raise


@contextmanager
def started_api_server(folder: Path, *more: str) -> Iterator[Kubectl]:
    """Start etcd, API server, controllers and `more` components; install CRDs and the operator's permissions."""
    folder.mkdir(exist_ok=True)
    components = ("etcd", "kube-apiserver", "kube-controller-manager", *more)
    with ControlPlane(folder, components) as plane:
        kubectl = Kubectl(plane.kubeconfig)
        kubectl("create", "namespace", OPERATOR_NAMESPACE)
        rendered = kubectl("kustomize", str(CHECKOUT / "manifests"))
        for obj in yaml.safe_load_all(rendered):
            if obj["kind"] not in ("Deployment", "Namespace"):
                kubectl.apply(obj)
        await_crds(kubectl)
        yield kubectl


@contextmanager
def running_operator(
    kubectl: Kubectl, folder: Path, port: int, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the operator as its own service account; it is healthy when the block begins."""
    settings = {
        "KUBECONFIG": str(operator_kubeconfig(kubectl, folder)),
        "FAIRLEAD_PORT": str(port),
        "FAIRLEAD_BIND_ADDRESS": "127.0.0.1",
        "FAIRLEAD_LEASE_NAMESPACE": OPERATOR_NAMESPACE,
        "FAIRLEAD_PROGRESS_SECONDS": "0.3",
        "FAIRLEAD_GATE_SECONDS": "0.3",
        "FAIRLEAD_RESTART_SECONDS": "0.3",
    }
    with (folder / f"operator-{port}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "fairlead.handlers.main"],
            env=os.environ | settings | environment, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            wait_for(lambda: answers(f"http://127.0.0.1:{port}/healthz"), "the operator's /healthz", 60)
            yield process
        finally:
            process.terminate()
            process.wait(timeout=60)  # on a machine that does much else


def operator_kubeconfig(kubectl: Kubectl, folder: Path) -> Path:
    """Write a kubeconfig with the operator's service account, so that missing RBAC rules make tests fail."""
    config = yaml.safe_load(kubectl.kubeconfig.read_text())
    token = kubectl("create", "token", "fairlead-operator", "-n", OPERATOR_NAMESPACE).strip()
    config["users"][0]["user"] = {"token": token}
    path = folder / "operator.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def await_crds(kubectl: Kubectl) -> None:
    """Wait until every CRD is served; `kubectl wait` fails for one that has no status yet."""

    def established() -> bool:
        crds = kubectl.list("customresourcedefinitions")
        return bool(crds) and all(condition(crd, "Established").get("status") == "True" for crd in crds)

    wait_for(established, "the CRDs to be served", 60)


def wait_for(look: Callable[[], Any], what: str, seconds: float = 15) -> Any:
    """Call `look` until it returns a truthy value; fails with `what` and the last value."""
    end = time.monotonic() + seconds
    while True:
        if seen := look():
            return seen
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for {what}; last seen: {seen!r}")
        time.sleep(0.15)


def answers(url: str) -> bool:
    """Return whether a URL returns status 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def condition(obj: Object, type_: str) -> Object:
    """Return a condition; empty if it does not exist."""
    found = [c for c in obj.get("status", {}).get("conditions") or [] if c["type"] == type_]
    return found[0] if found else {}
