"""Features that a process node does not support."""

from typing import Any

import pytest
from fairlead_cluster.local.node.support import check_support


def _pod(spec: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    return {"metadata": {}, "spec": {"containers": [{"name": "main", **container}], **(spec or {})}}


def test_an_ordinary_pod_is_accepted() -> None:
    volumes = [{"name": "v"}, {"name": "w", "emptyDir": {}}, {"name": "x", "projected": {"sources": []}}]
    probe = {"httpGet": {"port": 1}}
    lifecycle = {"preStop": {"sleep": {"seconds": 1}}}
    assert check_support(_pod({"volumes": volumes}, readinessProbe=probe, lifecycle=lifecycle)) == []


@pytest.mark.parametrize(
    ("pod", "problem"),
    [
        (_pod({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}), "volume 'v': got hostPath, expected one of"),
        (_pod({"volumes": [{"name": "v", "persistentVolumeClaim": {}}]}), "volume 'v': got persistentVolumeClaim"),
        (_pod({"activeDeadlineSeconds": 5}), "activeDeadlineSeconds: "),
        (_pod({"initContainers": [{"name": "i", "restartPolicy": "Always"}]}), "container 'i': restartPolicy: "),
        (_pod(lifecycle={"postStart": {}}), "container 'main': lifecycle.postStart: "),
        (_pod(livenessProbe={"grpc": {"port": 1}}), "container 'main': livenessProbe: got grpc, expected exec"),
    ],
)
def test_unsupported_fields_are_rejected_by_name(pod: dict[str, Any], problem: str) -> None:
    (found,) = check_support(pod)
    assert found.startswith(problem)
