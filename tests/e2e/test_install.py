"""Installation with Helm and kustomize: the rendered objects, and an operator that works."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fairlead.cli.manifests import format_manifests
from fairlead_cluster.base.home import CHECKOUT

from tests.e2e.conftest import NAMESPACE, SYSTEM
from tests.support.api_server import Kubectl, condition, wait_for
from tests.support.resources import TRAINING_JOB, change

CHART = CHECKOUT / "charts" / "fairlead"


def render(helm: Path, *arguments: str, release: str = "fairlead") -> list[dict[str, Any]]:
    command = [helm, "template", release, CHART, "--namespace", SYSTEM, *arguments]
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


def environment_of(objects: list[dict[str, Any]]) -> dict[str, str]:
    """Return the operator's variables that have a value."""
    (deployment,) = (obj for obj in objects if obj["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}


@pytest.mark.parametrize(
    ("arguments", "count", "kept"),
    [((), 3, True), (("--set", "crds.keep=false"), 3, False), (("--set", "crds.enabled=false"), 0, False)],
)
def test_the_crds_are_kept_or_left_out_as_the_values_say(
    helm: Path, arguments: tuple[str, ...], count: int, kept: bool
) -> None:
    crds = [obj for obj in render(helm, *arguments) if obj["kind"] == "CustomResourceDefinition"]
    assert len(crds) == count
    for crd in crds:
        annotations = crd["metadata"].get("annotations", {})
        assert annotations.get("helm.sh/resource-policy") == ("keep" if kept else None)


def test_pull_secrets_are_those_of_the_operator_and_of_the_pods_that_it_creates(helm: Path) -> None:
    objects = render(helm, "--set", "imagePullSecrets[0].name=registry", "--set", "imagePullSecrets[1].name=mirror")
    (deployment,) = (obj for obj in objects if obj["kind"] == "Deployment")
    assert deployment["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "registry"}, {"name": "mirror"}]
    assert environment_of(objects)["FAIRLEAD_IMAGE_PULL_SECRETS"] == "registry,mirror"


def test_each_release_has_a_lease_of_its_own(helm: Path) -> None:
    names = [environment_of(render(helm, release=name))["FAIRLEAD_LEASE_NAME"] for name in ("fairlead", "second")]
    assert names == ["fairlead-operator", "second-operator"]


def test_invalid_value_is_rejected_by_name(helm: Path) -> None:
    done = subprocess.run([helm, "template", "x", CHART, "--set", "replicas=0"], text=True, capture_output=True)
    assert done.returncode != 0
    assert "replicas" in done.stderr


@pytest.fixture
def kustomized(kubectl: Kubectl, helm: Path, store: None) -> Iterator[None]:
    """The operator installed by kustomize; CRDs and namespace are kept."""
    where = ["--namespace", SYSTEM, "--kubeconfig", str(kubectl.kubeconfig)]
    subprocess.run([helm, "uninstall", "fairlead", *where, "--ignore-not-found", "--wait"], check=True)
    try:
        # CRDs that a release has kept, as the tests' own does, are Helm's until they are taken over
        kubectl("apply", "--server-side", "--force-conflicts", "-k", str(CHECKOUT / "manifests"))
        yield
    finally:
        rendered = yaml.safe_load_all(kubectl("kustomize", str(CHECKOUT / "manifests")))
        ours = [obj for obj in rendered if obj["kind"] not in ("CustomResourceDefinition", "Namespace")]
        kubectl("delete", "--wait", "--ignore-not-found", "-f", "-", stdin=format_manifests(ours))


def test_kustomize_installs_an_operator_that_works(kubectl: Kubectl, kustomized: None) -> None:
    kubectl("rollout", "status", "deployment/fairlead-operator", "-n", SYSTEM, "--timeout=120s")
    job = change(TRAINING_JOB, metadata={"name": "kustomized", "namespace": NAMESPACE}, spec__runPolicy__suspend=True)
    kubectl.apply(job)
    wait_for(lambda: condition(kubectl.get("tj", "kustomized", NAMESPACE), "Suspended"), "the operator's answer", 60)
    kubectl("delete", "tj", "kustomized", "-n", NAMESPACE)
