"""The object store in the cluster: MinIO from manifests/minio, and its credentials in the namespaces that use it."""

import base64
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.home import CHECKOUT
from fairlead_cluster.base.steps import StepLog
from fairlead_cluster.kind import programs
from fairlead_cluster.kind.cluster import Cluster

NAMESPACE = "fairlead-store"
ROOT_SECRET = "minio-root"
CLIENT_SECRET = "artifact-store"
ENDPOINT = f"http://minio.{NAMESPACE}.svc:9000"
_MANIFESTS = CHECKOUT / "manifests" / "minio"


@dataclass(frozen=True)
class Store:
    """MinIO in the kind cluster."""

    cluster: Cluster

    def install(self, log: StepLog) -> None:
        """Apply the manifests, generate a password if there is none, and return when the server is ready."""
        log.run([*self._kubectl, "apply", "--server-side", "-k", _MANIFESTS])
        if not self._root():
            data = {"MINIO_ROOT_USER": "fairlead", "MINIO_ROOT_PASSWORD": secrets.token_urlsafe(24)}
            self._apply(_secret(ROOT_SECRET, NAMESPACE, data))
        log.run([*self._kubectl, "--namespace", NAMESPACE, "rollout", "status", "deployment/minio", "--timeout=180s"])

    def share(self, namespace: str, _log: StepLog) -> None:
        """Write the Secret with which pods of a namespace access the store: the SDKs' AWS_* variables."""
        root = self._root()
        data = {
            "AWS_ACCESS_KEY_ID": root["MINIO_ROOT_USER"],
            "AWS_SECRET_ACCESS_KEY": root["MINIO_ROOT_PASSWORD"],
            "AWS_ENDPOINT_URL": ENDPOINT,
            "AWS_REGION": "us-east-1",
        }
        self._apply(_secret(CLIENT_SECRET, namespace, data))

    def _root(self) -> dict[str, str]:
        words = [
            *self._kubectl,
            "--namespace",
            NAMESPACE,
            "get",
            "secret",
            ROOT_SECRET,
            "--ignore-not-found",
            "-o",
            "json",
        ]
        found = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        if not found:
            return {}
        return {name: base64.b64decode(value).decode() for name, value in json.loads(found)["data"].items()}

    def _apply(self, manifest: Mapping[str, object]) -> None:
        """Apply an object from standard input, so that its content stays out of arguments and logs."""
        words = [*self._kubectl, "apply", "--server-side", "-f", "-"]
        applied = subprocess.run(words, input=json.dumps(manifest), capture_output=True, text=True)
        if applied.returncode:
            raise SetupError(f"kubectl apply of {manifest['kind']} failed: {applied.stderr.strip()}")

    @property
    def _kubectl(self) -> list[str | Path]:
        return [*_find_kubectl(self.cluster), "--kubeconfig", self.cluster.kubeconfig]


def _find_kubectl(cluster: Cluster) -> list[str | Path]:
    for binary in (cluster.home.kube, programs.kubernetes_path(cluster.home)):
        if os.access(binary, os.X_OK):
            return [binary, "kubectl"]
    if found := shutil.which("kubectl"):
        return [found]
    raise SetupError("kubectl is not on PATH: install it, or build this repository's with `fairlead setup`")


def _secret(name: str, namespace: str, data: Mapping[str, str]) -> dict[str, object]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": dict(data)}
