"""Installation with Helm and kustomize: the rendered objects, and an operator that works."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fairlead_cluster.base.home import CHECKOUT

from tests.e2e.conftest import NAMESPACE, SYSTEM
from tests.support.api_server import Kubectl, condition, wait_for
from tests.support.resources import TRAINING_JOB, change

CHART = CHECKOUT / "charts" / "fairlead"


def render(helm: Path, *arguments: str) -> list[dict[str, Any]]:
    command = [helm, "template", "fairlead", CHART, "--namespace", SYSTEM, *arguments]
    done = subprocess.run(command, text=True, capture_output=True, check=True)
    return [obj for obj in yaml.safe_load_all(done.stdout) if obj]


def test_chart_lints(helm: Path) -> None:
    subprocess.run([helm, "lint", "--strict", CHART], check=True)


def test_default_values_grant_the_same_permissions_as_the_generated_role(helm: Path) -> None:
    objects = {obj["kind"]: obj for obj in render(helm, "--set", "rbac.aggregate=false")}
    generated = yaml.safe_load((CHECKOUT / "manifests" / "rbac" / "role.yaml").read_text())
    assert objects["ClusterRole"]["rules"] == generated["rules"]
    (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "fairlead/operator:0.1.0"


def test_namespaces_need_no_cluster_role(helm: Path) -> None:
    objects = render(helm, "--set", "namespaces={a,b}", "--set", "replicas=2", "--set", "image.tag=v9")
    kinds = [obj["kind"] for obj in objects]
    assert "ClusterRole" not in kinds
    assert {obj["metadata"]["namespace"] for obj in objects if obj["kind"] == "Role"} == {"a", "b", SYSTEM}
    deployment = objects[kinds.index("Deployment")]["spec"]
    (container,) = deployment["template"]["spec"]["containers"]
    assert (deployment["replicas"], container["image"]) == (2, "fairlead/operator:v9")
    assert {"name": "FAIRLEAD_NAMESPACES", "value": "a,b"} in container["env"]


def test_invalid_value_is_rejected_by_name(helm: Path) -> None:
    done = subprocess.run([helm, "template", "x", CHART, "--set", "replicas=0"], text=True, capture_output=True)
    assert done.returncode != 0
    assert "replicas" in done.stderr


@pytest.fixture
def kustomized(kubectl: Kubectl, helm: Path, store: None) -> Iterator[None]:
    """The operator installed by kustomize; CRDs and namespace are kept."""
    where = ["--namespace", SYSTEM, "--kubeconfig", str(kubectl.kubeconfig)]
    subprocess.run([helm, "uninstall", "fairlead", *where, "--ignore-not-found", "--wait"], check=True)
    kubectl("apply", "--server-side", "-k", str(CHECKOUT / "manifests"))
    yield
    rendered = yaml.safe_load_all(kubectl("kustomize", str(CHECKOUT / "manifests")))
    ours = [obj for obj in rendered if obj["kind"] not in ("CustomResourceDefinition", "Namespace")]
    kubectl("delete", "--wait", "-f", "-", stdin=yaml.safe_dump_all(ours))


def test_kustomize_installs_an_operator_that_works(kubectl: Kubectl, kustomized: None) -> None:
    kubectl("rollout", "status", "deployment/fairlead-operator", "-n", SYSTEM, "--timeout=120s")
    job = change(TRAINING_JOB, metadata={"name": "kustomized", "namespace": NAMESPACE}, spec__runPolicy__suspend=True)
    kubectl.apply(job)
    wait_for(lambda: condition(kubectl.get("tj", "kustomized", NAMESPACE), "Suspended"), "the operator's answer", 60)
    kubectl("delete", "tj", "kustomized", "-n", NAMESPACE)
