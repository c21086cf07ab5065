"""Kueue's manager as a process, with its own manifests, permissions and webhooks.

Kueue makes the certificate of its webhooks itself and puts its CA into them. The API server finds the webhooks by
their Service, whose cluster IP is a loopback address at which the manager listens. What a kubelet would do for the
manager's pod is done here: its Secret and its configuration become files.
"""

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.schedulers.programs import KUEUE
from tests.support.api_server import Kubectl, answers, await_crds, wait_for
from tests.support.ports import free_port

Object = dict[str, Any]
NAMESPACE = "kueue-system"
_SERVICE, _SECRET, _ACCOUNT = "kueue-webhook-service", "kueue-webhook-server-cert", "kueue-controller-manager"
_PORT = 9443
"""Of the webhooks, at an address that only this cluster uses."""
_SKIPPED = ("Deployment", "APIService", "ConfigMap")
"""The manager is a process; its API to look into queues, whose port and folder are fixed, is not enabled."""
_START_SECONDS = 180


@contextmanager
def running_kueue(kubectl: Kubectl, folder: Path) -> Iterator[None]:
    """Install Kueue and run its manager during the block."""
    folder.mkdir()
    _install(kubectl)
    address = kubectl.get("service", _SERVICE, NAMESPACE)["spec"]["clusterIP"]
    health = free_port()
    config = _configure(folder, address, health)
    token = kubectl("create", "token", _ACCOUNT, "-n", NAMESPACE, "--duration=24h").strip()
    kubeconfig = _write_kubeconfig(kubectl, folder, token)
    words = [KUEUE.target, f"--config={config}", f"--kubeconfig={kubeconfig}", "--zap-log-level=2"]
    words.append("--feature-gates=VisibilityOnDemand=false")
    with (folder / "kueue.log").open("ab") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            _mount_certificate(kubectl, folder)
            wait_for(lambda: answers(f"http://127.0.0.1:{health}/readyz"), "Kueue's /readyz", _START_SECONDS)
            yield
        finally:
            process.terminate()
            process.wait(timeout=60)


def add_queue(kubectl: Kubectl, name: str, cpu: str, **spec: Any) -> None:
    """Create a LocalQueue, and a ClusterQueue of the same name with a quota of CPU and much memory."""
    flavor: Object = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "ResourceFlavor", "metadata": {"name": "any"}}
    kubectl.apply(flavor)
    quotas = [{"name": "cpu", "nominalQuota": cpu}, {"name": "memory", "nominalQuota": "64Gi"}]
    group = {"coveredResources": ["cpu", "memory"], "flavors": [{"name": "any", "resources": quotas}]}
    kubectl.apply({
        "apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "ClusterQueue", "metadata": {"name": name},
        "spec": {"namespaceSelector": {}, "resourceGroups": [group]} | spec,
    })  # fmt: skip
    kubectl.apply({
        "apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "LocalQueue",
        "metadata": {"name": name, "namespace": "default"}, "spec": {"clusterQueue": name},
    })  # fmt: skip


def cpu_in_use(kubectl: Kubectl, queue: str) -> str:
    """Return the CPU that Kueue has reserved in a ClusterQueue for admitted groups."""
    usage = kubectl.get("clusterqueues", queue).get("status", {}).get("flavorsReservation") or [{}]
    found = [resource["total"] for resource in usage[0].get("resources", []) if resource["name"] == "cpu"]
    return str(found[0]) if found else "0"


def _install(kubectl: Kubectl) -> None:
    """Apply the manifests that the module brings, with the webhooks at the manager's port."""
    rendered = kubectl("kustomize", str(KUEUE.find_module() / "config" / "default"))
    kept = [obj for obj in yaml.safe_load_all(rendered) if obj["kind"] not in _SKIPPED]
    for obj in kept:
        if obj["metadata"]["name"] == _SERVICE:
            obj["spec"] = {"ports": [{"port": _PORT}]}
        for client in _webhook_clients(obj):
            client["service"]["port"] = _PORT
    # CRDs before what they define, and the namespace before all; a CRD is too long for the annotation of `apply`
    kept.sort(key=lambda obj: ("Namespace", "CustomResourceDefinition").index(obj["kind"])
              if obj["kind"] in ("Namespace", "CustomResourceDefinition") else 2)  # fmt: skip
    kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": kept}))
    await_crds(kubectl)


def _webhook_clients(obj: Object) -> list[Object]:
    """Return the parts of an object that say where a webhook is."""
    if obj["kind"] == "CustomResourceDefinition":
        webhook = obj["spec"].get("conversion", {}).get("webhook")
        return [webhook["clientConfig"]] if webhook else []
    return [webhook["clientConfig"] for webhook in obj.get("webhooks", [])]


def _configure(folder: Path, address: str, health: int) -> Path:
    """Write the manager's configuration: the module's own, with pods, and the addresses of this machine."""
    manager = KUEUE.find_module() / "config" / "components" / "manager"
    config = yaml.safe_load((manager / "controller_manager_config.yaml").read_text())
    config["health"]["healthProbeBindAddress"] = f"127.0.0.1:{health}"
    config["metrics"]["bindAddress"] = "0"
    config["webhook"] = {"host": address, "port": _PORT, "certDir": str(folder / "certificate")}
    config["leaderElection"]["leaderElect"] = False
    config["integrations"] = {"frameworks": ["batch/job", "pod"]}
    config["namespace"] = NAMESPACE
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def _mount_certificate(kubectl: Kubectl, folder: Path) -> None:
    """Write the Secret with the webhooks' certificate to files, once Kueue has made it."""
    data = wait_for(lambda: kubectl.get("secret", _SECRET, NAMESPACE).get("data"), "Kueue's certificate", 60)
    target = folder / "certificate"
    target.mkdir(mode=0o700)
    for name in ("ca.crt", "tls.key", "tls.crt"):  # the last one is what Kueue waits for
        (target / name).write_bytes(base64.b64decode(data[name]))


def _write_kubeconfig(kubectl: Kubectl, folder: Path, token: str) -> Path:
    config = yaml.safe_load(kubectl.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path = folder / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return path
