"""Waiting for a resource, against a real HTTP server."""

from typing import Any

import pytest
from fairlead.client import Denied, FairleadError, NotFound, ResourceFailed, WaitTimeout
from fairlead.client.waiting import find_condition

from tests.unit.client.conftest import Answer, Serve


def _job(*conditions: dict[str, Any]) -> Answer:
    body = {"kind": "TrainingJob", "metadata": {"name": "j", "generation": 1}}
    return 200, body | {"status": {"conditions": list(conditions)}}


BLOCKED = {"type": "Blocked", "status": "True", "reason": "NotValidated", "message": "No validation for this digest."}
APPLYING = {"type": "Running", "status": "False", "reason": "PodsPending", "message": "Waiting for pods."}
DONE = {"type": "Succeeded", "status": "True", "reason": "Done", "message": "", "observedGeneration": 1}
FAILED = {"type": "Failed", "status": "True", "reason": "WorkerFailed", "message": "exit 3", "observedGeneration": 1}


def test_waiting_outlives_an_api_server_that_restarts(serve: Serve) -> None:
    client = serve([(503, {"message": "starting"}), (429, {"message": "later"}), _job(BLOCKED), _job(DONE)])
    found = client.wait("TrainingJob", "j", "Succeeded", seconds=30)
    assert found["status"]["conditions"] == [DONE]


def test_every_observed_state_is_reported(serve: Serve) -> None:
    seen: list[Any] = []
    serve([_job(), _job(BLOCKED), _job(DONE)]).wait("tj", "j", "Succeeded", seconds=30, on_observed=seen.append)
    assert [job["status"]["conditions"] for job in seen] == [[], [BLOCKED], [DONE]]


def test_waiting_ends_when_the_job_fails(serve: Serve) -> None:
    with pytest.raises(ResourceFailed, match=r"TrainingJob j failed: WorkerFailed: exit 3"):
        serve([_job(), _job(FAILED)]).wait("TrainingJob", "j", "Succeeded", seconds=30)


def test_a_failure_can_be_waited_for(serve: Serve) -> None:
    assert serve([_job(FAILED)]).wait("TrainingJob", "j", "Failed", seconds=30)["metadata"]["name"] == "j"


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        pytest.param(
            _job(BLOCKED),
            WaitTimeout,
            "Blocked=True NotValidated: No validation for this digest",
            id="it stays blocked",
        ),
        pytest.param(
            _job({"type": "Failed", "status": "False", "reason": "Applying", "message": ""}, APPLYING),
            WaitTimeout,
            "not finished after 1 s: Running=False PodsPending: Waiting for pods.$",
            id="conditions without a message say nothing",
        ),
        pytest.param(_job(), WaitTimeout, "the operator has not reconciled it yet", id="no operator runs"),
        pytest.param((404, {"message": "not found"}), NotFound, "deleted while waiting for it", id="it is deleted"),
        pytest.param((403, {"message": "no rights"}), Denied, "403: no rights", id="the account may not read it"),
        pytest.param(
            (503, {"message": "starting"}), WaitTimeout, "503: starting", id="the API server never comes back"
        ),
    ],
)
def test_a_failed_wait_reports_why(serve: Serve, answer: Answer, error: type[FairleadError], message: str) -> None:
    with pytest.raises(error, match=message):
        serve([answer]).wait("TrainingJob", "j", "Succeeded", seconds=1)


@pytest.mark.parametrize(
    ("status", "observed", "holds"),
    [
        pytest.param("True", 2, True, id="observed at the current spec"),
        pytest.param("True", 1, False, id="observed at an earlier spec"),
        pytest.param("False", 2, False, id="not true"),
    ],
)
def test_a_condition_counts_only_for_the_current_spec(status: str, observed: int, holds: bool) -> None:
    condition = {"type": "Ready", "status": status, "observedGeneration": observed}
    found = find_condition({"metadata": {"generation": 2}, "status": {"conditions": [condition]}}, "Ready")
    assert (found is not None) is holds
