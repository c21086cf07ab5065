"""TrainingJobs and ModelDeployments on the local cluster: a plain script, failures, a broken model."""

import re
from pathlib import Path
from typing import Any

import pytest
from fairlead_artifacts import publish
from fairlead_cluster.base.home import CHECKOUT

from tests.local.support import LocalCluster
from tests.support.api_server import condition, wait_for
from tests.support.resources import MODEL_DEPLOYMENT, TRAINING_JOB, Object, change

CONTAINER = "spec__workers__template__spec__containers__0__"


def finish(cluster: LocalCluster, name: str, seconds: float = 120) -> Object:
    """Wait until a job has finished and return it."""

    def ended() -> Object:
        job = cluster.get("tj", name)
        return job if job.get("status", {}).get("completionTime") else {}

    return dict(wait_for(ended, f"{name} to end", seconds))


def run_job(cluster: LocalCluster, name: str, **changes: Any) -> Object:
    """Apply a job, wait until it has finished and return why it failed."""
    cluster.apply(change(TRAINING_JOB, metadata__name=name, **changes))
    return condition(finish(cluster, name), "Failed")


@pytest.mark.parametrize("example", ["plain-horovod", "plain-torchrun"])
def test_plain_script_runs_unmodified(fairlead: LocalCluster, example: str) -> None:
    fairlead.kubectl("apply", "-k", str(CHECKOUT / "examples" / example))
    job = finish(fairlead, example)
    assert job["status"]["phase"] == "Succeeded", job["status"]
    assert "loss" in fairlead.kubectl("logs", f"{example}-worker-0")


def test_an_elastic_job_goes_on_when_a_worker_is_deleted_and_takes_its_successor_in(fairlead: LocalCluster) -> None:
    fairlead.kubectl("apply", "-k", str(CHECKOUT / "examples" / "elastic-horovod"))
    wait_for(lambda: "size 2" in fairlead.kubectl("logs", "elastic-horovod-worker-0", check=False), "two workers", 300)
    fairlead.kubectl("delete", "pod", "elastic-horovod-worker-1", "--wait=false")
    fairlead.kubectl("scale", "tj/elastic-horovod", "--replicas=3")
    job = finish(fairlead, "elastic-horovod", 400)
    assert (job["status"]["phase"], job["status"]["workers"]["restarts"]) == ("Succeeded", 0), job["status"]
    assert job["status"]["elastic"]["epoch"] >= 1, job["status"]
    log = fairlead.kubectl("logs", "elastic-horovod-launcher")
    assert log.count("begins with workers") >= 2, log


def test_an_elastic_torchrun_script_goes_on_when_a_worker_is_killed(fairlead: LocalCluster) -> None:
    fairlead.kubectl("apply", "-k", str(CHECKOUT / "examples" / "elastic-torchrun"))
    wait_for(lambda: "step 10/400 size 2" in fairlead.kubectl("logs", "elastic-torchrun-worker-0"), "two workers", 300)
    fairlead.kubectl("delete", "pod", "elastic-torchrun-worker-1", "--force", "--grace-period=0")
    job = finish(fairlead, "elastic-torchrun", 500)
    assert (job["status"]["phase"], job["status"]["workers"]["restarts"]) == ("Succeeded", 0), job["status"]
    assert job["status"]["elastic"]["epoch"] >= 1, job["status"]
    assert job["status"]["elastic"]["lostWorkers"] == 1, job["status"]
    log = fairlead.kubectl("logs", "elastic-torchrun-worker-0")
    assert "step 400/400" in log, log
    assert "begins after step 0" in log
    assert len(re.findall("begins after step [1-9]", log)) >= 1, log


@pytest.mark.parametrize(
    ("name", "script", "reason", "words"),
    [
        ("exits", "echo out of luck; exit 3", "WorkerExited", ("exited with code 3", "out of luck")),
        ("killed", "echo going; kill -KILL $$$$", "WorkerKilled", ("SIGKILL", "137", "going")),
    ],
)
def test_failing_script_is_named_with_worker_code_and_log(
    fairlead: LocalCluster, name: str, script: str, reason: str, words: tuple[str, ...]
) -> None:
    command = {f"{CONTAINER}command": ["sh", "-c", script]}
    failed = run_job(fairlead, name, spec__runPolicy={"backoffLimit": 0}, **command)
    assert failed["reason"] == reason
    for word in ("Worker ", *words):
        assert word in failed["message"]


def test_command_that_does_not_exist_is_named(fairlead: LocalCluster) -> None:
    command = {f"{CONTAINER}command": ["no-such-program"]}
    failed = run_job(fairlead, "nothing", spec__runPolicy={"backoffLimit": 0}, **command)
    assert failed["reason"] == "WorkerNotStarted"
    assert "no-such-program" in failed["message"]


def test_job_that_never_starts_reports_which_pod_and_why(fairlead: LocalCluster) -> None:
    image = {f"{CONTAINER}image": "fairlead/nothing:0"}
    failed = run_job(fairlead, "unstartable", spec__runPolicy={"preRunningDeadlineSeconds": 4}, **image)
    assert failed["reason"] == "NeverStarted"
    assert "ErrImagePull" in failed["message"] or "ImagePullBackOff" in failed["message"]


def test_truncated_model_is_named_in_the_deployments_condition(fairlead: LocalCluster, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "model.onnx").write_bytes(b"\x08\x07\x12")
    uri = f"file://{tmp_path}/store/broken"
    publish(tmp_path / "source", uri, kind="onnx-model", producer="test/1")
    graph = {"name": "broken", "type": "MODEL", "modelUri": uri}
    fairlead.apply(change(MODEL_DEPLOYMENT, metadata__name="broken", spec__predictors__0__graph=graph))

    def failing() -> Object:
        ready = condition(fairlead.get("mdep", "broken"), "Ready")
        return ready if ready.get("reason") == "PodsFailing" else {}

    message = dict(wait_for(failing, "PodsFailing", 60))["message"]
    assert "broken" in message
    assert "model.onnx" in message
