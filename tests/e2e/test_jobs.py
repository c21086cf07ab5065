"""Other jobs on the kind cluster: a plain Horovod script and failures."""

from typing import Any

import pytest
from fairlead_cluster.base.home import CHECKOUT

from tests.e2e.conftest import NAMESPACE
from tests.support.api_server import Kubectl, Object, condition, wait_for
from tests.support.resources import TRAINING_JOB, change

IMAGE = "fairlead/trainer:0.1.0"
CONTAINER = "spec__workers__template__spec__containers__0__"


def run_job(kubectl: Kubectl, name: str, **changes: Any) -> Object:
    kubectl.apply(change(TRAINING_JOB, metadata={"name": name, "namespace": NAMESPACE}, **changes))
    return wait_until_finished(kubectl, name)


def wait_until_finished(kubectl: Kubectl, name: str) -> Object:
    def ended() -> Object:
        job = kubectl.get("tj", name, NAMESPACE)
        return job if job.get("status", {}).get("completionTime") else {}

    return dict(wait_for(ended, f"{name} to end", 300))


@pytest.mark.parametrize("example", ["plain-horovod", "plain-torchrun", "elastic-torchrun"])
def test_plain_script_runs_unmodified(kubectl: Kubectl, operator: None, example: str) -> None:
    kubectl("apply", "-k", str(CHECKOUT / "examples" / example), "-n", NAMESPACE)
    job = wait_until_finished(kubectl, example)
    assert job["status"]["phase"] == "Succeeded", job["status"]
    log = kubectl("logs", f"{example}-worker-0", "-n", NAMESPACE)
    assert "loss" in log
    kubectl("delete", "tj", example, "-n", NAMESPACE)


@pytest.mark.parametrize(
    ("name", "script", "reason", "words"),
    [
        ("exits", "echo out of luck; exit 3", "WorkerExited", ("exited with code 3", "out of luck")),
        ("killed", "echo going; kill -KILL $$$$", "WorkerKilled", ("SIGKILL", "137", "going")),
    ],
)
def test_failing_script_is_named_with_worker_code_and_log(
    kubectl: Kubectl, operator: None, name: str, script: str, reason: str, words: tuple[str, ...]
) -> None:
    job = run_job(
        kubectl, name, spec__runPolicy={"backoffLimit": 0},
        **{f"{CONTAINER}command": ["sh", "-c", script], f"{CONTAINER}image": IMAGE},
    )  # fmt: skip
    failed = condition(job, "Failed")
    assert failed["reason"] == reason
    for word in ("Worker ", *words):
        assert word in failed["message"]
    kubectl("delete", "tj", name, "-n", NAMESPACE)


def test_job_that_never_starts_reports_which_pod_and_why(kubectl: Kubectl, operator: None) -> None:
    job = run_job(
        kubectl, "unstartable", spec__runPolicy={"preRunningDeadlineSeconds": 15},
        **{f"{CONTAINER}image": "fairlead/nothing:0", f"{CONTAINER}imagePullPolicy": "Never"},
    )  # fmt: skip
    failed = condition(job, "Failed")
    assert failed["reason"] == "NeverStarted"
    assert "ErrImageNeverPull" in failed["message"]
    kubectl("delete", "tj", "unstartable", "-n", NAMESPACE)
