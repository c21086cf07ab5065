"""Kubernetes' own controllers, which the operator depends on, on the local cluster."""

import json
from typing import Any

from tests.local.support import HTTP_SERVER, IMAGE, LocalCluster, make_pod

READINESS = {"httpGet": {"path": "/", "port": 8080}}


def _deployment(name: str, version: str) -> dict[str, Any]:
    container = {
        "name": "main",
        "image": IMAGE,
        "command": ["python", "-c", HTTP_SERVER],
        "env": [{"name": "VERSION", "value": version}],
        "readinessProbe": READINESS,
    }
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def _pods(cluster: LocalCluster, app: str) -> list[dict[str, Any]]:
    return cluster.list("pods", f"app={app}")


def test_a_deployment_rolls_out_and_its_pods_are_deleted_with_it(cluster: LocalCluster) -> None:
    cluster.apply(_deployment("rolls", "1"))
    cluster.kubectl("rollout", "status", "deployment/rolls", "--timeout=90s")
    before = {pod["metadata"]["name"] for pod in _pods(cluster, "rolls")}
    cluster.apply(_deployment("rolls", "2"))
    cluster.kubectl("rollout", "status", "deployment/rolls", "--timeout=90s")
    cluster.kubectl("wait", "pod", "--for=delete", *before, "--timeout=60s")
    assert len(_pods(cluster, "rolls")) == 2
    cluster.kubectl("delete", "deployment", "rolls")
    cluster.kubectl("wait", "pod", "--for=delete", "-l", "app=rolls", "--timeout=60s")


def test_pod_security_holds_on_the_local_cluster_too(cluster: LocalCluster) -> None:
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "strict", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }
    cluster.apply(namespace)
    pod = make_pod("lax", "true")
    pod["metadata"]["namespace"] = "strict"
    rejection = cluster.kubectl("create", "-f", "-", stdin=json.dumps(pod), check=False)
    assert 'violates PodSecurity "restricted:latest"' in rejection
