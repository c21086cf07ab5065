"""The real API server rejects invalid resources with helpful messages."""

import pytest
import yaml

from tests.support.api_server import Kubectl
from tests.support.rejections import REJECTIONS, Rejection
from tests.support.resources import MODEL_DEPLOYMENT, TRAINING_JOB, change


@pytest.mark.parametrize("rejection", REJECTIONS, ids=lambda rejection: rejection.reason)
def test_invalid_resource_is_rejected_at_admission(kubectl: Kubectl, rejection: Rejection) -> None:
    output = kubectl("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(rejection.resource), check=False)
    for word in ("invalid", *rejection.words, *rejection.at_server):
        assert word in output


@pytest.mark.parametrize("resource", [TRAINING_JOB, MODEL_DEPLOYMENT], ids=lambda resource: resource["kind"])
def test_valid_resource_is_admitted(kubectl: Kubectl, resource: dict[str, object]) -> None:
    output = kubectl("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(resource))
    assert "created" in output


def test_unknown_field_is_rejected_by_name(kubectl: Kubectl) -> None:
    job = yaml.safe_dump(change(TRAINING_JOB, spec__worker=3))
    output = kubectl("create", "--dry-run=server", "-f", "-", stdin=job, check=False)
    assert 'unknown field "spec.worker"' in output


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spec__workers__replicas": 3}, "workers: replicas and slots are immutable"),
        ({"spec__dataset": {"uri": "s3://other/data"}}, "dataset: field is immutable"),
        ({"spec__model": {"uri": "s3://other/model"}}, "model: field is immutable"),
    ],
)
def test_immutable_fields_of_a_job_cannot_change(kubectl: Kubectl, changes: dict[str, object], words: str) -> None:
    job = change(TRAINING_JOB, metadata__name="immutable", spec__runPolicy={"suspend": True})
    kubectl.apply(job)
    output = kubectl("apply", "-f", "-", stdin=yaml.safe_dump(change(job, **changes)), check=False)
    assert words in output


def test_a_finished_job_cannot_change(kubectl: Kubectl) -> None:
    job = change(TRAINING_JOB, metadata__name="finished", spec__runPolicy={"suspend": True})
    kubectl.apply(job)
    kubectl.patch_status("tj", "finished", {"completionTime": "2026-03-01T12:00:00Z", "phase": "Succeeded"})
    edited = change(job, spec__runPolicy={"suspend": False})
    assert "a finished job cannot be changed" in kubectl("apply", "-f", "-", stdin=yaml.safe_dump(edited), check=False)
    kubectl("label", "tj", "finished", "team=vision")
    kubectl.patch_status("tj", "finished", {"phase": "Failed"})
    assert kubectl.get("tj", "finished")["status"]["phase"] == "Failed"


def test_printer_columns_are_shown(kubectl: Kubectl) -> None:
    kubectl.apply(change(TRAINING_JOB, metadata__name="columns", spec__runPolicy={"suspend": True}))
    header = kubectl("get", "tj").splitlines()[0].split()
    assert header == ["NAME", "PHASE", "READY", "WORKERS", "STEP", "TOTAL", "LOSS", "RESTARTS", "MODEL", "AGE"]
