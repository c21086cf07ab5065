"""The worked example on two nodes: data and model in MinIO, Horovod across the nodes, accuracy over the Service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import NAMESPACE
from tests.e2e.digits import Digits
from tests.support.api_server import Kubectl, Object, condition, wait_for
from tests.support.kind import owned_objects

NAME = "digits"


@pytest.fixture(scope="module")
def digits(kubectl: Kubectl, operator: None) -> Digits:
    return Digits(kubectl, NAMESPACE, NAME)


@pytest.fixture(scope="module")
def dataset(digits: Digits) -> Object:
    return digits.make_dataset()


@pytest.fixture(scope="module")
def blocked(digits: Digits, dataset: Object) -> Object:
    """The job before its dataset is validated."""
    digits.apply_job(dataset)

    def look() -> Object:
        found = condition(digits.kubectl.get("tj", NAME, NAMESPACE), "Blocked")
        return found if found.get("status") == "True" else {}

    return dict(wait_for(look, "Blocked", 30))


@pytest.fixture(scope="module")
def job(digits: Digits, dataset: Object, blocked: Object) -> Object:
    """The finished job."""
    digits.validate(dataset)
    return digits.wait_for_job()


@pytest.fixture(scope="module")
def deployment(digits: Digits, dataset: Object, job: Object) -> Iterator[Object]:
    """The ready deployment."""
    yield digits.serve(*digits.convert(dataset, job))


def test_job_is_blocked_until_its_dataset_is_validated(blocked: Object, dataset: Object) -> None:
    assert blocked["reason"] == "ValidationMissing"
    assert dataset["digest"] in blocked["message"]


def test_training_succeeds_across_two_nodes(kubectl: Kubectl, job: Object) -> None:
    assert job["status"]["phase"] == "Succeeded", job["status"]
    pods = kubectl.list("pods", NAMESPACE, f"fairlead.dev/job={NAME},fairlead.dev/role=worker")
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


def test_columns_show_the_state(kubectl: Kubectl, deployment: Object) -> None:
    table = kubectl("get", "tj,mdep", "-n", NAMESPACE)
    print(table)
    assert "Succeeded" in table
    assert f"http://{NAME}.{NAMESPACE}.svc:8080" in table


def test_deleting_resources_deletes_their_children(kubectl: Kubectl, deployment: Object) -> None:
    kubectl("delete", f"tj/{NAME}", f"mdep/{NAME}", "-n", NAMESPACE)
    for label in (f"fairlead.dev/job={NAME}", f"fairlead.dev/deployment={NAME}"):
        wait_for(lambda label=label: not owned_objects(kubectl, NAMESPACE, label), f"no object of {label}", 60)
