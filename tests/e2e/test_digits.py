"""The worked example on two nodes: data and model in MinIO, Horovod across the nodes, accuracy over the Service."""

from pathlib import Path

from tests.e2e.conftest import NAMESPACE
from tests.e2e.digits import Digits
from tests.support.api_server import Kubectl, Object, wait_for
from tests.support.kind import owned_objects


def test_job_is_blocked_until_its_dataset_is_validated(blocked: Object, dataset: Object) -> None:
    assert blocked["reason"] == "ValidationMissing"
    assert dataset["digest"] in blocked["message"]


def test_training_succeeds_across_two_nodes(kubectl: Kubectl, digits: Digits, job: Object) -> None:
    assert job["status"]["phase"] == "Succeeded", job["status"]
    pods = kubectl.list("pods", NAMESPACE, f"fairlead.dev/job={digits.name},fairlead.dev/role=worker")
    assert len({pod["spec"]["nodeName"] for pod in pods}) == 2
    progress = job["status"]["progress"]
    assert progress["step"] == progress["totalSteps"]
    assert [item["name"] for item in job["status"]["provenance"]] == ["dataset", "validation", "model"]


def test_held_out_digits_are_recognized_over_the_service(
    digits: Digits, dataset: Object, deployment: Object, tmp_path: Path
) -> None:
    result = digits.measure(dataset, tmp_path)
    assert result["count"] == 300
    assert result["accuracy"] >= 0.95


def test_columns_show_the_state(kubectl: Kubectl, digits: Digits, deployment: Object) -> None:
    table = kubectl("get", "tj,mdep", "-n", NAMESPACE)
    print(table)
    assert "Succeeded" in table
    assert f"http://{digits.name}.{NAMESPACE}.svc:8080" in table


def test_deleting_resources_deletes_their_children(kubectl: Kubectl, digits: Digits, undisturbed: Object) -> None:
    assert undisturbed["children"] > 0
    kubectl("delete", f"tj/{digits.name}", f"mdep/{digits.name}", "-n", NAMESPACE)
    for label in (f"fairlead.dev/job={digits.name}", f"fairlead.dev/deployment={digits.name}"):
        wait_for(lambda label=label: not owned_objects(kubectl, NAMESPACE, label), f"no object of {label}", 60)
