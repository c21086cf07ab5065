"""ModelDeployments on a real API server, with the operator as a separate process."""

from pathlib import Path
from typing import Any

import pytest
from fairlead_artifacts import publish

from tests.integration.conftest import Operator
from tests.support.api_server import Kubectl, condition, wait_for
from tests.support.resources import MODEL_DEPLOYMENT, NODE_CONTAINER, Object, change

NODE = "spec__predictors__0__graph__children__0__"


def create_deployment(kubectl: Kubectl, name: str, **changes: Any) -> None:
    kubectl.apply(change(MODEL_DEPLOYMENT, metadata__name=name, **changes))


def wait_for_reason(kubectl: Kubectl, name: str, reason: str) -> Object:
    def look() -> Object:
        ready = condition(kubectl.get("mdep", name), "Ready")
        return ready if ready.get("reason") == reason else {}

    return dict(wait_for(look, f"{name} to say {reason}"))


def make_models(folder: Path) -> dict[str, Any]:
    (folder / "source").mkdir()
    (folder / "source" / "model.onnx").write_bytes(b"not looked at here")
    uris = [f"file://{folder}/store/{name}" for name in ("scaler", "classifier")]
    for uri in uris:
        publish(folder / "source", uri, kind="onnx-model", producer="test/1")
    return {"spec__predictors__0__graph__modelUri": uris[0], f"{NODE}modelUri": uris[1]}


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("twins", {f"{NODE}name": "scaler"}, "got 2 nodes named 'scaler', expected unique names"),
        ("sourceless", {f"{NODE}modelUri": ...}, "has no modelUri, no implementation, no endpoint and no container"),
        (
            "childless",
            {f"{NODE}modelUri": ..., f"{NODE}type": "ROUTER", "spec__predictors__0__componentSpecs": [NODE_CONTAINER]},
            "ROUTER 'classifier' has 0 children, expected at least 1",
        ),
    ],
)
def test_invalid_graph_is_reported_in_a_condition(
    kubectl: Kubectl, operator: Operator, name: str, changes: dict[str, Any], words: str
) -> None:
    create_deployment(kubectl, name, **changes)
    assert words in wait_for_reason(kubectl, name, "InvalidGraph")["message"]
    assert kubectl.list("deployments", labels=f"fairlead.dev/deployment={name}") == []


def test_missing_model_is_waited_for(kubectl: Kubectl, operator: Operator, tmp_path: Path) -> None:
    uri = f"file://{tmp_path}/store/none"
    create_deployment(kubectl, "missing", spec__predictors__0__graph__modelUri=uri)
    assert uri in wait_for_reason(kubectl, "missing", "ModelNotFound")["message"]


def test_children_are_deleted_with_their_owner(kubectl: Kubectl, operator: Operator, tmp_path: Path) -> None:
    create_deployment(kubectl, "made", **make_models(tmp_path))
    wait_for_reason(kubectl, "made", "PodsNotReady")
    labels = "fairlead.dev/deployment=made"
    assert len(kubectl.list("deployments", labels=labels)) == 1
    assert len(kubectl.list("services", labels=labels)) == 1
    (config,) = kubectl.list("configmaps", labels=labels)
    assert '"digest": "sha256:' in config["data"]["graph.json"]
    provenance = kubectl.get("mdep", "made")["status"]["provenance"]
    assert provenance[0]["uri"] == f"file://{tmp_path}/store/scaler"
    kubectl("delete", "mdep", "made")
    kinds = ("deployments", "services", "configmaps", "replicasets", "pods")
    wait_for(lambda: not [i for kind in kinds for i in kubectl.list(kind, labels=labels)], "no children", 30)


def test_ready_pods_without_a_response_are_not_ready(kubectl: Kubectl, operator: Operator, tmp_path: Path) -> None:
    create_deployment(kubectl, "silent", **make_models(tmp_path))
    wait_for_reason(kubectl, "silent", "PodsNotReady")
    wait_for(lambda: kubectl.get("deployment", "silent-main").get("status", {}).get("replicas") == 1, "a replica")
    generation = kubectl.get("deployment", "silent-main")["metadata"]["generation"]
    for pod in kubectl.list("pods", labels="fairlead.dev/deployment=silent"):
        ready = [{"type": "Ready", "status": "True"}]
        kubectl.patch_status("pod", pod["metadata"]["name"], {"phase": "Running", "conditions": ready})
    wait_for(lambda: kubectl.get("deployment", "silent-main")["status"].get("readyReplicas") == 1, "readiness")
    assert generation == kubectl.get("deployment", "silent-main")["metadata"]["generation"]
    wait_for_reason(kubectl, "silent", "NotAnswering")


def test_scale_reaches_the_deployment(kubectl: Kubectl, operator: Operator, tmp_path: Path) -> None:
    create_deployment(kubectl, "scaled", **make_models(tmp_path))
    wait_for_reason(kubectl, "scaled", "PodsNotReady")
    kubectl("scale", "mdep", "scaled", "--replicas=3")
    wait_for(lambda: kubectl.get("deployment", "scaled-main")["spec"]["replicas"] == 3, "three replicas")


def test_an_autoscaler_and_a_disruption_budget_follow_the_spec(
    kubectl: Kubectl, operator: Operator, tmp_path: Path
) -> None:
    models = make_models(tmp_path)
    scaling = {"minReplicas": 2, "maxReplicas": 4, "targetUtilizationPercentage": 70, "targetConcurrency": 8}
    create_deployment(
        kubectl, "elastic", **models, spec__autoscaling=scaling, spec__disruptionBudget={"minAvailable": 1}
    )
    hpa = dict(wait_for(lambda: kubectl.get("hpa", "elastic"), "the autoscaler"))["spec"]
    target = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "ModelDeployment", "name": "elastic"}
    assert (hpa["scaleTargetRef"], hpa["minReplicas"], hpa["maxReplicas"]) == (target, 2, 4)
    assert {metric["type"] for metric in hpa["metrics"]} == {"Resource", "Pods"}
    budget = dict(wait_for(lambda: kubectl.get("pdb", "elastic"), "the budget"))["spec"]
    assert budget["minAvailable"] == 1
    # a Deployment is written after the other children
    pods = dict(wait_for(lambda: kubectl.get("deployment", "elastic-main"), "the pods"))["spec"]["template"]
    assert budget["selector"]["matchLabels"].items() <= pods["metadata"]["labels"].items()
    kubectl("patch", "mdep", "elastic", "--type=merge", "-p", '{"spec": {"autoscaling": {"maxReplicas": 6}}}')
    wait_for(lambda: kubectl.get("hpa", "elastic")["spec"]["maxReplicas"] == 6, "the new maximum")
    # kube-controller-manager's autoscaler reads the scale: its minimum is above the one replica that there is
    wait_for(lambda: kubectl.get("mdep", "elastic")["spec"]["replicas"] == 2, "the autoscaler's minimum", 60)


def test_service_of_another_owner_is_left_alone(kubectl: Kubectl, operator: Operator, tmp_path: Path) -> None:
    ports = [{"port": 80}]
    spec = {"selector": {"app": "other"}, "ports": ports}
    kubectl.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "taken"}, "spec": spec})
    create_deployment(kubectl, "taken", **make_models(tmp_path))
    assert "has another owner" in wait_for_reason(kubectl, "taken", "Rejected")["message"]
    assert kubectl.get("service", "taken")["spec"]["selector"] == {"app": "other"}
