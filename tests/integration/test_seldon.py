"""`engine: Seldon` on a real API server: the operator is a process, the CRD Seldon's, and its controller scripted."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import publish_model
from tests.support.api_server import Kubectl, await_crds, condition, wait_for
from tests.support.ports import own_address
from tests.support.resources import Object
from tests.support.seldon import build_deployments, report
from tests.support.seldon_crd import read_crd
from tests.support.seldon_shapes import build_resource
from tests.support.seldon_webhook import adding_defaults

NAME, KIND = "seldon", "seldondeployment"
LABELS = f"fairlead.dev/deployment={NAME}"
pytestmark = pytest.mark.usefixtures("operator", "cleaned")


@pytest.fixture(scope="module")
def seldon(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """Install Seldon's CRD, and a webhook that adds its defaults."""
    crd = read_crd()
    kubectl("create", "-f", "-", stdin=json.dumps(crd))
    await_crds(kubectl)
    with adding_defaults(kubectl, tmp_path_factory.mktemp("webhook")):
        yield kubectl
    kubectl("delete", "customresourcedefinition", crd["metadata"]["name"])


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Object]:
    """Build a resource with predictors whose model exists."""

    def run(*predictors: Object, **spec: Any) -> Object:
        graph = {"graph": {"name": "model", "modelUri": publish_model(tmp_path, "model")}}
        known = [graph | predictor for predictor in predictors or ({"name": "main"},)]
        return build_resource({"predictors": known, **spec}, metadata__name=NAME)

    return run


def ready(kubectl: Kubectl, name: str = NAME) -> Object:
    return condition(kubectl.get("mdep", name), "Ready")


def await_reason(kubectl: Kubectl, reason: str, name: str = NAME) -> Object:
    wait_for(lambda: ready(kubectl, name).get("reason") == reason, f"{reason}, not {ready(kubectl, name)}", 30)
    return kubectl.get("mdep", name)


def await_resource(kubectl: Kubectl, holds: Callable[[Object], bool] = bool) -> Object:
    return dict(wait_for(lambda: (found := kubectl.get(KIND, NAME)) and holds(found) and found, "the resource", 30))


def run_seldon(kubectl: Kubectl, available: dict[str, int], **changes: Any) -> Object:
    """Do what Seldon's controller does, and the kubelets of its pods; return the SeldonDeployment."""
    resource = kubectl.get(KIND, NAME)
    for child in build_deployments(resource):
        kubectl.apply(child)
    kubectl.patch_status(KIND, NAME, report(resource, available, **changes))
    return resource


def run_pods(kubectl: Kubectl) -> None:
    kubectl.run_pods(LABELS, lambda _: own_address(9))


def test_without_seldon_core_the_condition_says_so_until_it_is_installed(
    kubectl: Kubectl, build: Callable[..., Object], request: pytest.FixtureRequest
) -> None:
    kubectl.apply(build())
    message = ready(await_and_return(kubectl, "SeldonNotInstalled"))["message"]
    assert message == "The cluster has no SeldonDeployment of machinelearning.seldon.io/v1: expected Seldon Core v1."
    # nothing else suffers
    native = build_resource({"engine": "Native", "predictors": build()["spec"]["predictors"]}, metadata__name="native")
    kubectl.apply(native)
    wait_for(lambda: kubectl.get("deployment", "native-main"), "the other deployment's pods", 30)
    kubectl("delete", "mdep", "native")
    request.getfixturevalue("seldon")
    await_reason(kubectl, "SeldonSilent")
    assert kubectl.get(KIND, NAME)["metadata"]["ownerReferences"][0]["name"] == NAME


def await_and_return(kubectl: Kubectl, reason: str) -> Kubectl:
    await_reason(kubectl, reason)
    return kubectl


def test_what_seldon_core_reports_is_read_back(seldon: Kubectl, build: Callable[..., Object]) -> None:
    shadow = {"name": "dark", "shadow": {"percent": 20}}
    seldon.apply(build(shadow, {"name": "main", "traffic": 90}, {"name": "next", "traffic": 10}))
    await_reason(seldon, "SeldonSilent")
    resource = seldon.get(KIND, NAME)
    assert [each["name"] for each in resource["spec"]["predictors"]] == ["main", "next", "dark"]
    run_seldon(seldon, {"main": 1})
    await_reason(seldon, "SeldonCreating")
    wait_for(lambda: len(seldon.list("pods", labels=LABELS)) == 3, "the pods of Seldon's Deployments", 30)
    run_pods(seldon)
    run_seldon(seldon, {"main": 1, "next": 1, "dark": 1})
    found = await_reason(seldon, "SeldonAvailable")["status"]
    assert [(each["name"], each["replicas"], each["ready"]) for each in found["predictors"]] == [
        ("dark", 1, 1), ("main", 1, 1), ("next", 1, 1),
    ]  # fmt: skip
    assert [(each["traffic"], each.get("shadow")) for each in found["predictors"]] == [(0, 20), (90, None), (10, None)]
    assert found["url"] == "http://seldon-main.default.svc:8000/api/v1.0/predictions"
    assert found["replicas"] == 1
    run_seldon(seldon, {"main": 1}, state="Failed", description="no such image")
    found = await_reason(seldon, "SeldonFailed")
    assert condition(found, "Degraded")["message"].endswith("failed: no such image")


def test_a_changed_spec_is_ready_when_seldon_has_acted_on_it(seldon: Kubectl, build: Callable[..., Object]) -> None:
    seldon.apply(build())
    await_reason(seldon, "SeldonSilent")
    run_seldon(seldon, {"main": 1})
    wait_for(lambda: seldon.list("pods", labels=LABELS), "the pod of Seldon's Deployment", 30)
    run_pods(seldon)
    await_reason(seldon, "SeldonAvailable")
    (before,) = seldon.list("configmaps", labels=LABELS)
    server = {"env": [{"name": "FAIRLEAD_WORKER_THREADS", "value": "1"}]}
    changed = {"name": "main", "server": server, "batching": {"maxBatchSize": 8, "maxDelayMilliseconds": 1}}
    seldon.apply(build(changed))
    await_reason(seldon, "SeldonReconciling")
    assert before["metadata"]["name"] in [each["metadata"]["name"] for each in seldon.list("configmaps", labels=LABELS)]
    run_seldon(seldon, {"main": 1})

    def serves() -> bool:
        run_pods(seldon)
        return ready(seldon).get("reason") == "SeldonAvailable"

    wait_for(serves, "the changed pods", 60)
    wait_for(lambda: len(seldon.list("configmaps", labels=LABELS)) == 1, "the earlier graph to be deleted", 30)


def test_drift_is_repaired_and_defaults_are_left(seldon: Kubectl, build: Callable[..., Object]) -> None:
    seldon.apply(build())
    resource = await_resource(seldon)
    (predictor,) = resource["spec"]["predictors"]
    assert predictor["graph"]["endpoint"]["httpPort"] == 7100, "the webhook has been called"
    run_seldon(seldon, {"main": 1})
    wait_for(lambda: seldon.list("pods", labels=LABELS), "the pod of Seldon's Deployment", 30)
    run_pods(seldon)
    await_reason(seldon, "SeldonAvailable")
    generation, version = versions(seldon)
    seldon("annotate", "mdep", NAME, "touched=yes")
    seldon("annotate", KIND, NAME, "touched=yes")
    seldon.patch_status(KIND, NAME, {"state": "Creating"})
    await_reason(seldon, "SeldonCreating")
    assert versions(seldon)[0] == generation, "what the webhook added is no drift"
    patch = [{"op": "replace", "path": "/spec/predictors/0/replicas", "value": 5}]
    seldon("patch", KIND, NAME, "--type", "json", "-p", json.dumps(patch))
    repaired = await_resource(seldon, lambda found: found["spec"]["predictors"][0]["replicas"] == 1)
    assert repaired["metadata"]["generation"] == generation + 2
    assert repaired["metadata"]["resourceVersion"] != version
    assert repaired["spec"] == resource["spec"]


def versions(kubectl: Kubectl) -> tuple[int, str]:
    meta = kubectl.get(KIND, NAME)["metadata"]
    return meta["generation"], meta["resourceVersion"]


def test_a_seldon_deployment_of_another_owner_is_not_adopted(seldon: Kubectl, build: Callable[..., Object]) -> None:
    theirs = {
        "apiVersion": "machinelearning.seldon.io/v1", "kind": "SeldonDeployment",
        "metadata": {"name": NAME, "namespace": "default"},
        "spec": {"predictors": [{"name": "theirs", "graph": {"name": "theirs"}}]},
    }  # fmt: skip
    seldon.apply(theirs)
    try:
        seldon.apply(build())
        found = await_reason(seldon, "Rejected")
        assert "SeldonDeployment seldon exists and has another owner" in condition(found, "Ready")["message"]
        assert seldon.get(KIND, NAME)["spec"]["predictors"][0]["name"] == "theirs"
    finally:
        seldon("delete", KIND, NAME)


def test_it_is_deleted_with_its_owner(seldon: Kubectl, build: Callable[..., Object]) -> None:
    seldon.apply(build())
    await_resource(seldon)
    seldon("delete", "mdep", NAME)
    wait_for(lambda: not seldon.get(KIND, NAME), "the SeldonDeployment to be deleted", 30)


def test_the_engine_cannot_be_changed(seldon: Kubectl, build: Callable[..., Object]) -> None:
    seldon.apply(build())
    answer = seldon("patch", "mdep", NAME, "--type", "merge", "-p", '{"spec":{"engine":"Native"}}', check=False)
    assert "engine: field is immutable" in answer
