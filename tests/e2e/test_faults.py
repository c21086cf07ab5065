"""Faults in the life of one job on the kind cluster: each is named by a condition, and the job loses nothing."""

import re
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import NAMESPACE
from tests.e2e.test_jobs import IMAGE, wait_until_finished
from tests.support.api_server import Kubectl, Object, condition, wait_for
from tests.support.kind import signal_api_server, signal_pod
from tests.support.trainings.steps import ELASTIC_TORCHRUN, FOLDER

NAME, STEPS, CHECKPOINT_STEPS = "faults", 700, 20


def build_job() -> Object:
    variables = {FOLDER: "/steps", "STEPS": str(STEPS), "PAUSE": "0.2", "OMP_NUM_THREADS": "1"}
    mounts = [{"name": "scripts", "mountPath": "/scripts"}, {"name": "steps", "mountPath": "/steps"}]
    trainer = {
        "name": "trainer",
        "image": IMAGE,
        "command": ["sh", "-c", 'python3 /scripts/train.py && echo weights > "$FAIRLEAD_MODEL_DIR/weights"'],
        "env": [{"name": key, "value": value} for key, value in variables.items()],
        "envFrom": [{"secretRef": {"name": "artifact-store"}}],
        "volumeMounts": mounts,
    }
    volumes = [{"name": "scripts", "configMap": {"name": NAME}}, {"name": "steps", "emptyDir": {}}]
    spec = {
        "launcher": "Torchrun",
        "workers": {"replicas": 2, "template": {"spec": {"containers": [trainer], "volumes": volumes}}},
        "model": {"uri": f"s3://models/{NAME}"},
        "checkpoint": {"uri": "s3://models/checkpoints", "everySteps": CHECKPOINT_STEPS, "keep": 3},
        "runPolicy": {"backoffLimit": 0},
    }
    meta = {"name": NAME, "namespace": NAMESPACE}
    return {"apiVersion": "fairlead.dev/v1alpha1", "kind": "TrainingJob", "metadata": meta, "spec": spec}


@pytest.fixture(scope="module")
def training(kubectl: Kubectl, operator: None) -> Iterator[None]:
    """A job that trains for minutes, with a checkpoint every few seconds."""
    data = {"train.py": ELASTIC_TORCHRUN.read_text(), "steps.py": ELASTIC_TORCHRUN.with_name("steps.py").read_text()}
    meta = {"name": NAME, "namespace": NAMESPACE}
    kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})
    kubectl.apply(build_job())
    wait_for(lambda: find_checkpoint(kubectl) >= CHECKPOINT_STEPS, "a checkpoint", 180)
    yield
    kubectl("delete", "tj", NAME, "-n", NAMESPACE)


def read_status(kubectl: Kubectl) -> Object:
    return dict(kubectl.get("tj", NAME, NAMESPACE).get("status", {}))


def find_checkpoint(kubectl: Kubectl) -> int:
    return int((read_status(kubectl).get("progress") or {}).get("checkpointStep") or 0)


def wait_for_cause(kubectl: Kubectl, pattern: str) -> None:
    """Wait until a condition that is True names a cause."""

    def named() -> bool:
        true = (item for item in read_status(kubectl)["conditions"] if item["status"] == "True")
        return any(re.search(pattern, f"{item['reason']}: {item['message']}", re.DOTALL) for item in true)

    wait_for(named, f"a condition that matches {pattern}", 60)


def wait_for_running(kubectl: Kubectl) -> None:
    def runs() -> bool:
        return bool(condition({"status": read_status(kubectl)}, "Running")["reason"] == "WorkersRunning")

    wait_for(runs, "Running without a delay", 90)


def test_a_store_that_is_away_is_named_and_costs_nothing(kubectl: Kubectl, training: None) -> None:
    service = ("patch", "service", "minio", "-n", "fairlead-store", "--type=merge", "-p")
    kubectl(*service, '{"spec":{"selector":{"app.kubernetes.io/name":"nobody"}}}')
    try:
        # the next checkpoint is due within four seconds
        wait_for_cause(kubectl, "WorkersDelayed: .*the checkpoint of step [0-9]+ is not saved: s3://models")
    finally:
        kubectl(*service, '{"spec":{"selector":{"app.kubernetes.io/name":"minio"}}}')
    saved = find_checkpoint(kubectl)
    wait_for(lambda: find_checkpoint(kubectl) > saved, "a later checkpoint", 90)
    wait_for_running(kubectl)
    assert read_status(kubectl)["workers"]["restarts"] == 0


def test_an_api_server_that_is_killed_costs_nothing(kubectl: Kubectl, training: None) -> None:
    before = find_checkpoint(kubectl)
    assert signal_api_server(kubectl, "KILL")

    def answers() -> bool:
        return "ok" in kubectl("get", "--raw", "/readyz", check=False).splitlines()

    wait_for(answers, "the API server", 90)
    wait_for(lambda: find_checkpoint(kubectl) > before, "a later checkpoint", 90)
    assert read_status(kubectl)["workers"]["restarts"] == 0


def test_a_worker_that_stands_still_is_named_and_the_training_goes_on_from_its_checkpoint(
    kubectl: Kubectl, training: None
) -> None:
    pod, saved = kubectl.get("pod", f"{NAME}-worker-1", NAMESPACE), find_checkpoint(kubectl)
    assert signal_pod(pod, "STOP")
    wait_for_cause(kubectl, "Restarting|WorkerLost: .*[Ww]orker 1")
    job = wait_until_finished(kubectl, NAME)
    status = job["status"]
    assert (status["phase"], status["workers"]["restarts"]) == ("Succeeded", 1), status
    assert status["workers"]["disruptions"] == 1
    assert saved <= status["resumedFromStep"] < STEPS
    assert status["progress"]["step"] == STEPS
    assert any(item["name"] == "model" for item in status["provenance"])
