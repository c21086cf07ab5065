"""The kind cluster for end-to-end tests: kubectl, steps as pods, port-forwards, and the store's credentials."""

import base64
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from fairlead_cluster.base.home import default_home

from tests.support.api_server import Kubectl, Object, wait_for

RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "fsGroup": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def kind_kubectl() -> Kubectl:
    """Return kubectl for the cluster of `make cluster`."""
    kubeconfig = default_home() / "kind" / "kubeconfig"
    assert kubeconfig.exists(), f"{kubeconfig} is missing: run `make cluster`"
    return Kubectl(kubeconfig)


def make_namespace(kubectl: Kubectl, name: str) -> None:
    """Create a namespace with Pod Security `restricted`."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})


def run_step(kubectl: Kubectl, namespace: str, name: str, image: str, command: list[str], **files: str) -> str:
    """Run a component's command in a pod, like a pipeline step, and return its log. `files` are mounted at /input."""
    _start_step(kubectl, namespace, name, image, command, files)

    def ended() -> str | None:
        phase = kubectl.get("pod", name, namespace).get("status", {}).get("phase")
        return phase if phase in ("Succeeded", "Failed") else None

    phase = wait_for(ended, f"{name} to end", 180)
    log = kubectl("logs", name, "-n", namespace)
    assert phase == "Succeeded", log
    return log


@contextmanager
def started_step(
    kubectl: Kubectl, namespace: str, name: str, image: str, command: list[str], **files: str
) -> Iterator[None]:
    """Run a command in a pod during the block; the rest is as above."""
    _start_step(kubectl, namespace, name, image, command, files)
    try:
        yield
    finally:
        kubectl("delete", "pod", name, "-n", namespace, "--grace-period=1", "--wait=false")


def _start_step(
    kubectl: Kubectl, namespace: str, name: str, image: str, command: list[str], files: dict[str, str]
) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}
    kubectl.apply(config | {"data": files})
    container = {
        "name": "step",
        "image": image,
        "command": command,
        "envFrom": [{"secretRef": {"name": "artifact-store"}}],
        "securityContext": CONTAINER,
        "volumeMounts": [{"name": "input", "mountPath": "/input"}, {"name": "tmp", "mountPath": "/tmp"}],
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": RESTRICTED,
        "containers": [container],
        "volumes": [{"name": "input", "configMap": {"name": name}}, {"name": "tmp", "emptyDir": {}}],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec}
    kubectl("delete", "pod", name, "-n", namespace, "--ignore-not-found", "--wait")
    kubectl.apply(pod)


@contextmanager
def forwarded(kubectl: Kubectl, namespace: str, service: str, port: int) -> Iterator[str]:
    """Forward a Service's port to this machine; yields its URL."""
    program = default_home() / "bin" / "kubectl"
    command = [str(program), "--kubeconfig", str(kubectl.kubeconfig), "port-forward", "-n", namespace,
               f"service/{service}", f":{port}", "--address", "127.0.0.1"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout
        line = process.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert found, line + process.stdout.read()
        yield f"http://127.0.0.1:{found[1]}"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def store_environment(kubectl: Kubectl, namespace: str) -> Iterator[dict[str, str]]:
    """Forward the object store to this machine; yields an environment with its AWS_* variables."""
    data = kubectl.get("secret", "artifact-store", namespace)["data"]
    variables = {key: base64.b64decode(value).decode() for key, value in data.items()}
    with forwarded(kubectl, "fairlead-store", "minio", 9000) as url:
        yield os.environ | variables | {"AWS_ENDPOINT_URL": url}


def owned_objects(kubectl: Kubectl, namespace: str, label: str) -> list[str]:
    """Return all objects with a label of the kinds that the operator or its children create."""
    kinds = "pods,services,secrets,configmaps,deployments,replicasets"
    return kubectl("get", kinds, "-n", namespace, "-l", label, "-o", "name").split()


def load_example(file: Path, **replacements: str) -> list[Object]:
    """Load an example's manifest with text replacements."""
    text = file.read_text()
    for old, new in replacements.items():
        text = text.replace(old, new)
    return [obj for obj in yaml.safe_load_all(text) if obj]


def kill_operator(kubectl: Kubectl, namespace: str = "fairlead-system") -> bool:
    """SIGKILL the operator's process in its node, then delete its pod, so that no backoff delays the next one."""
    pods = kubectl.list("pods", namespace, "app.kubernetes.io/name=fairlead-operator")
    running = [pod for pod in pods if pod["status"].get("phase") == "Running"]
    if not running:
        return False
    pod = running[0]
    killed = signal_pod(pod, "KILL", "fairlead-operator")
    name = pod["metadata"]["name"]
    kubectl("delete", "pod", name, "-n", namespace, "--grace-period=0", "--force", "--ignore-not-found", check=False)
    time.sleep(0.1)
    return killed


def signal_pod(pod: Object, name: str, words: str = "") -> bool:
    """Send a signal to a pod's processes whose command has some words; return whether there was one."""
    # the node is a container: find the processes by their pod's cgroup
    uid = pod["metadata"]["uid"]
    return _signal(pod["spec"]["nodeName"], name, f"{uid}|{uid.replace('-', '_')}", words)


def signal_api_server(kubectl: Kubectl, name: str) -> bool:
    """Send a signal to the API server's process, which the kubelet starts again."""
    (node,) = (
        node for node in kubectl.list("nodes") if "node-role.kubernetes.io/control-plane" in node["metadata"]["labels"]
    )
    return _signal(node["metadata"]["name"], name, "kubepods", "kube-apiserver")


def _signal(node: str, name: str, cgroup: str, words: str) -> bool:
    script = (
        "for p in /proc/[0-9]*; do "
        f"if grep -qE '{cgroup}' $p/cgroup 2>/dev/null && "
        f"grep -qa -e '{words}' $p/cmdline 2>/dev/null; then kill -{name} ${{p#/proc/}}; echo sent; fi; done"
    )
    sent = subprocess.run(["docker", "exec", node, "sh", "-c", script], text=True, capture_output=True, check=False)
    return "sent" in sent.stdout
