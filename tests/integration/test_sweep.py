"""Sweeps on a real API server, with the operator as a separate process; the test acts as launchers and kubelet."""

import signal
from pathlib import Path
from typing import Any

from tests.integration.conftest import Operator
from tests.support.api_server import Kubectl, condition, running_operator, wait_for
from tests.support.ports import free_port
from tests.support.resources import SWEEP, Object, change

GRID = [{"name": "lr", "categorical": {"values": ["0.1", "0.2", "0.3"]}}]
TEMPLATE = change(
    SWEEP["spec"]["template"], spec__workers__template__spec__containers__0__env=...,
    spec__workers__template__spec__containers__0__args=["--lr=${trialParameters.lr}"],
)  # fmt: skip
GRID_SWEEP = change(SWEEP, spec__algorithm={"name": "Grid"}, spec__parameters=GRID, spec__template=TEMPLATE)


def create(kubectl: Kubectl, name: str, **changes: Any) -> None:
    kubectl.apply(change(GRID_SWEEP, metadata__name=name, **changes))


def jobs_of(kubectl: Kubectl, sweep: str) -> dict[int, Object]:
    """Return the jobs of a sweep by their trial's number."""
    items = kubectl.list("tj", labels=f"fairlead.dev/sweep={sweep}")
    return {int(item["metadata"]["labels"]["fairlead.dev/trial"]): item for item in items}


def wait_for_jobs(kubectl: Kubectl, sweep: str, *numbers: int) -> dict[int, Object]:
    return dict(wait_for(lambda: (jobs := jobs_of(kubectl, sweep)).keys() == set(numbers) and jobs, f"jobs {numbers}"))


def report(kubectl: Kubectl, job: str, step: int, accuracy: float, phase: str = "Running") -> None:
    """Write the status of a job, as the operator does when its launcher reports."""
    now = "2026-03-01T12:00:00Z"
    ended = {"completionTime": now} if phase in ("Succeeded", "Failed") else {}
    progress = {"step": step, "totalSteps": 100, "metrics": {"accuracy": accuracy}}
    model = {"name": "model", "uri": f"s3://models/{job}", "digest": "sha256:" + "ab" * 32}
    status = {"phase": phase, "startTime": now, "progress": progress, "provenance": [model], **ended}
    kubectl.patch_status("tj", job, status)


def wait_for_status(kubectl: Kubectl, sweep: str, key: str, value: object) -> Object:
    def look() -> Object:
        found = kubectl.get("sw", sweep)
        return found if found.get("status", {}).get(key) == value else {}

    return dict(wait_for(look, f"{key} {value} of {sweep}"))


def test_trials_get_their_parameters_and_the_best_one_is_found(kubectl: Kubectl, operator: Operator) -> None:
    create(kubectl, "found", spec__parallelism=2)
    jobs = wait_for_jobs(kubectl, "found", 1, 2)
    container = jobs[2]["spec"]["workers"]["template"]["spec"]["containers"][0]
    assert container["args"] == ["--lr=0.2"]
    assert jobs[2]["metadata"]["annotations"]["fairlead.dev/trial-parameters"] == '{"lr": "0.2"}'
    report(kubectl, "found-0001", 100, 0.8, "Succeeded")
    wait_for_jobs(kubectl, "found", 1, 2, 3)
    report(kubectl, "found-0003", 100, 0.9, "Succeeded")
    report(kubectl, "found-0002", 100, 0.7, "Succeeded")
    status = wait_for_status(kubectl, "found", "phase", "Succeeded")["status"]
    assert status["counts"]["succeeded"] == 3
    assert status["best"]["job"] == "found-0003"
    assert status["best"]["parameters"] == {"lr": "0.3"}
    assert status["best"]["model"]["uri"] == "s3://models/found-0003"
    kubectl("delete", "sw", "found")


def test_a_trial_that_others_beat_at_a_rung_is_suspended_and_makes_room(kubectl: Kubectl, operator: Operator) -> None:
    create(kubectl, "pruned", spec__parallelism=2, spec__pruning={"minSteps": 10, "reductionFactor": 2})
    wait_for_jobs(kubectl, "pruned", 1, 2)
    report(kubectl, "pruned-0001", 11, 0.8)
    wait_for(lambda: kubectl.get("sw", "pruned")["status"]["trials"][0].get("rungs") == [0.8], "the rung")
    report(kubectl, "pruned-0002", 10, 0.3)
    jobs = wait_for_jobs(kubectl, "pruned", 1, 2, 3)
    assert [jobs[number]["spec"]["runPolicy"]["suspend"] for number in (1, 2, 3)] == [False, True, False]
    trial = kubectl.get("sw", "pruned")["status"]["trials"][1]
    assert (trial["state"], trial["message"]) == ("Pruned", "Not among the best 1 of 2 trials at step 10.")
    kubectl("delete", "sw", "pruned")


def test_a_suspended_sweep_suspends_its_jobs_and_resumes_them(kubectl: Kubectl, operator: Operator) -> None:
    create(kubectl, "held", spec__parallelism=2)
    wait_for_jobs(kubectl, "held", 1, 2)
    for suspend in (True, False):
        kubectl.apply(change(GRID_SWEEP, metadata__name="held", spec__parallelism=2, spec__suspend=suspend))

        def look(suspend: bool = suspend) -> bool:
            jobs = jobs_of(kubectl, "held").values()
            return [job["spec"]["runPolicy"]["suspend"] for job in jobs] == [suspend] * 2

        wait_for(look, f"suspend {suspend} of both jobs")
    kubectl("delete", "sw", "held")


def test_too_many_failures_end_the_sweep_and_its_other_jobs(kubectl: Kubectl, operator: Operator) -> None:
    create(kubectl, "failing", spec__parallelism=2, spec__maxFailedTrials=0)
    wait_for_jobs(kubectl, "failing", 1, 2)
    report(kubectl, "failing-0001", 5, 0.1, "Failed")
    sweep = wait_for_status(kubectl, "failing", "phase", "Failed")
    assert condition(sweep, "Failed")["reason"] == "TooManyFailedTrials"
    assert sweep["status"]["counts"]["stopped"] == 1
    wait_for(lambda: jobs_of(kubectl, "failing")[2]["spec"]["runPolicy"]["suspend"], "the other job to be suspended")
    kubectl("delete", "sw", "failing")


def test_a_job_of_that_name_which_is_not_ours_is_left_alone(kubectl: Kubectl, operator: Operator) -> None:
    job = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "TrainingJob", "metadata": {"name": "taken-0001"},
           "spec": SWEEP["spec"]["template"]["spec"]}  # fmt: skip
    kubectl.apply(job)
    create(kubectl, "taken", spec__parallelism=1)
    sweep = wait_for_status(kubectl, "taken", "phase", "Blocked")
    assert "taken-0001 exists and has another owner" in condition(sweep, "Blocked")["message"]
    kubectl("delete", "tj", "taken-0001")
    wait_for_status(kubectl, "taken", "phase", "Running")
    kubectl("delete", "sw", "taken")


def test_an_operator_that_is_killed_goes_on_with_the_same_trials(kubectl: Kubectl, tmp_path: Path) -> None:
    """The second operator finds three trials, one of which ended while nobody looked, and one that was deleted."""
    changes = {"spec__parallelism": 2, "metadata__namespace": "lonely"}
    kubectl("create", "namespace", "lonely")

    def jobs(*numbers: int) -> dict[int, Object]:
        def look() -> dict[int, Object] | None:
            items = kubectl("get", "tj", "-n", "lonely", "-o", "json")
            found = {int(item["metadata"]["labels"]["fairlead.dev/trial"]): item for item in _items(items)}
            return found if found.keys() == set(numbers) else None

        return dict(wait_for(look, f"jobs {numbers}"))

    settings = {"FAIRLEAD_NAMESPACES": "lonely"}
    with running_operator(kubectl, tmp_path, free_port(), **settings) as first:
        create(kubectl, "killed", **changes)
        before = jobs(1, 2)
        first.send_signal(signal.SIGKILL)
        first.wait()
    status = {"phase": "Succeeded", "startTime": "2026-03-01T12:00:00Z", "completionTime": "2026-03-01T12:01:00Z",
              "progress": {"step": 100, "metrics": {"accuracy": 0.5}}}  # fmt: skip
    kubectl.patch_status("tj", "killed-0001", status, namespace="lonely")
    with running_operator(kubectl, tmp_path, free_port(), **settings):
        after = jobs(1, 2, 3)
    assert [after[number]["metadata"]["uid"] for number in (1, 2)] == [before[n]["metadata"]["uid"] for n in (1, 2)]
    kubectl("delete", "namespace", "lonely", "--wait=false")


def _items(text: str) -> list[Object]:
    import json

    return list(json.loads(text)["items"])
