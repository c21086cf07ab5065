"""A control plane for one measurement, with a separate account for the controller and an audit log of its requests."""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from fairlead_cluster.base.home import CHECKOUT
from fairlead_cluster.local.control_plane import ControlPlane

from tests.support.api_server import Kubectl, await_crds

CONTROLLER = "controller"
_AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Metadata", "users": [f"system:serviceaccount:default:{CONTROLLER}"]},
        {"level": "None"},
    ],
}
_WRITES = ("create", "update", "patch", "delete", "deletecollection")
_NOT_FOR_JOBS = ("leases", "selfsubjectrulesreviews", "customresourcedefinitions", "namespaces")


@dataclass(frozen=True)
class Plane:
    """A running control plane with every contender's resources."""

    kubectl: Kubectl
    folder: Path

    @property
    def controller_kubeconfig(self) -> Path:
        """The kubeconfig of the account whose requests are counted."""
        return self.folder / "controller.kubeconfig"

    def requests(self) -> Counter[str]:
        """Return the number of the controller's requests so far: `reads`, `writes`, and each verb with its kind.

        Watches are not counted.
        """
        counted: Counter[str] = Counter()
        for line in (self.folder / "audit.log").read_text().splitlines():
            event: dict[str, Any] = json.loads(line)
            resource = event.get("objectRef", {}).get("resource", "")
            if event["verb"] == "watch" or not resource or resource in _NOT_FOR_JOBS:
                continue
            counted[f"{event['verb']} {resource}"] += 1
            counted["writes" if event["verb"] in _WRITES else "reads"] += 1
        return counted


@contextmanager
def started_plane(crds: list[Path]) -> Iterator[Plane]:
    """Start etcd, API server and controller manager in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (folder / "audit.yaml").write_text(yaml.safe_dump(_AUDIT))
        flags = (f"--audit-policy-file={folder / 'audit.yaml'}", f"--audit-log-path={folder / 'audit.log'}")
        components = ("etcd", "kube-apiserver", "kube-controller-manager")
        with ControlPlane(folder / "plane", components, api_server_flags=flags) as plane:
            kubectl = Kubectl(plane.kubeconfig)
            kubectl("create", "serviceaccount", CONTROLLER)
            grant = ("--clusterrole=cluster-admin", f"--serviceaccount=default:{CONTROLLER}")
            kubectl("create", "clusterrolebinding", CONTROLLER, *grant)
            for crd in (*sorted((CHECKOUT / "manifests" / "crds").glob("*.yaml")), *crds):
                kubectl("create", "-f", str(crd))
            await_crds(kubectl)
            result = Plane(kubectl, folder)
            _write_kubeconfig(result)
            yield result


def _write_kubeconfig(plane: Plane) -> None:
    config = yaml.safe_load(plane.kubectl.kubeconfig.read_text())
    token = plane.kubectl("create", "token", CONTROLLER, "--duration=24h").strip()
    config["users"][0]["user"] = {"token": token}
    plane.controller_kubeconfig.write_text(yaml.safe_dump(config))
    os.chmod(plane.controller_kubeconfig, 0o600)  # noqa: PTH101
