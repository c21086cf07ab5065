"""Retraining on a real API server: the operator is a process, graph servers are scripted, and no kubelet runs.

Another controller manages the jobs: the test reports what becomes of them, and of the converters.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fairlead_artifacts import publish
from fairlead_contracts.monitor import ColumnFacts, MonitorFacts, NodeFacts, TensorFacts
from fairlead_contracts.termination import PublishedModel, SuccessReport, encode_report
from fairlead_contracts.traffic import BOUNDS, Counts

from tests.integration.conftest import POD_ADDRESS, Operator, publish_model
from tests.support.api_server import Kubectl, condition, wait_for
from tests.support.graph_servers import ScriptedServer, read_traffic_key, serving_graphs
from tests.support.resources import DIGEST, MODEL_DEPLOYMENT, RETRAIN, ROLLOUT, Object, change

NAME = "retrained"
LABELS = f"fairlead.dev/deployment={NAME}"
RUNS = f"fairlead.dev/retrains={NAME}"
FAST = {
    "spec__rollout__steps": [{"traffic": 50, "seconds": 0}],
    "spec__rollout__analysis__intervalSeconds": 1,
    "spec__rollout__analysis__maxErrorRate": 0.2,
}
DRIFT = {"windowSeconds": 8, "minRows": 100, "maxPsi": 0.2}
SAME, SHIFTED = (0, 50, 50, 0, 0), (0, 3, 97, 0, 0)

pytestmark = pytest.mark.usefixtures("cleaned")


@pytest.fixture
def servers(kubectl: Kubectl) -> Iterator[ScriptedServer]:
    """The graph servers of all pods, which have one address."""

    with serving_graphs(POD_ADDRESS, 8080, partial(read_traffic_key, kubectl, NAME)) as server:
        server.counts = Counts(requests=200, latency=(200, *(0 for _ in BOUNDS)))
        yield server


def report_rows(servers: ScriptedServer, counts: tuple[int, ...], digest: str) -> None:
    """Let the servers say what they have counted of a model."""
    column = ColumnFacts(index=3, reference=(0, 500, 500, 0, 0), counts=counts)
    tensor = TensorFacts(side="input", name="image", columns=(column,))
    node = NodeFacts(node="model", digest=digest, reference_rows=1000, rows=sum(counts), tensors=(tensor,))
    servers.monitor = MonitorFacts(predictor="main", nodes=(node,)).model_dump_json(by_alias=True).encode()


def build(uri: str, models: str, **changes: Any) -> Object:
    """Return a deployment whose model is retrained by jobs that the test manages."""
    template = {
        "template__spec__model__uri": models,
        "template__spec__runPolicy": {"managedBy": "test.example.com/jobs"},
        "template__metadata": {"labels": {"team": "digits"}},
    }
    monitor = {"drift": DRIFT, "retrain": change(RETRAIN, **template)}
    graph = {"name": "model", "modelUri": uri}
    obj = change(MODEL_DEPLOYMENT, metadata__name=NAME, spec__predictors__0__graph=graph, spec__rollout=ROLLOUT)
    return change(obj, spec__monitor=monitor, **FAST, **changes)


def status_of(kubectl: Kubectl) -> Object:
    """Do what kubelets do, and return the deployment's status."""
    kubectl.run_pods(LABELS, lambda _: POD_ADDRESS)
    return dict(kubectl.get("mdep", NAME).get("status") or {})


def wait_for_stable(kubectl: Kubectl, servers: ScriptedServer, other_than: str = "") -> str:
    def look() -> str:
        revision = str(status_of(kubectl).get("stableRevision", ""))
        return revision if revision != other_than else ""

    servers.revision = wait_for(look, "a stable revision", 90)
    return servers.revision


def retraining(kubectl: Kubectl) -> Object:
    status_of(kubectl)
    return condition(kubectl.get("mdep", NAME), "Retraining")


def wait_for_reason(kubectl: Kubectl, reason: str) -> Object:
    return dict(wait_for(lambda: (c := retraining(kubectl)).get("reason") == reason and c, reason, 60))


def wait_for_job(kubectl: Kubectl, other_than: str = "") -> Object:
    def look() -> Object | None:
        (*_, job) = [None, *kubectl.list("trainingjobs", labels=RUNS)]
        return job if job and job["metadata"]["name"] != other_than else None

    return dict(wait_for(look, "a job", 60))


def finish_job(kubectl: Kubectl, job: Object, succeeded: bool = True) -> str:
    """Report the end of a job; return the URI of its model."""
    name = job["metadata"]["name"]
    version = f"{name}-{job['metadata']['uid'][:8]}"
    uri, phase = f"{job['spec']['model']['uri']}/{version}", "Succeeded" if succeeded else "Failed"
    text = "2 workers finished." if succeeded else "Worker 1 failed with exit code 3."
    known = {"type": phase, "status": "True", "reason": "Test", "message": text}
    model = {"name": "model", "uri": uri, "digest": DIGEST}
    dataset = {"name": "dataset", "uri": job["spec"]["dataset"]["uri"], "digest": DIGEST}
    kubectl.patch_status(
        "tj", name,
        {
            "phase": phase, "provenance": [dataset, model], "progress": {"step": 20, "checkpointStep": 20},
            "conditions": [known | {"lastTransitionTime": "2026-01-01T00:00:00Z"}],
        },
    )  # fmt: skip
    return uri


def finish_converter(kubectl: Kubectl, name: str, code: int, message: str) -> None:
    ended = {"exitCode": code, "message": message, "finishedAt": "2026-01-01T00:00:00Z"}
    container = {"name": "converter", "image": "x", "imageID": "", "ready": False, "restartCount": 0}
    phase = "Failed" if code else "Succeeded"
    status = {"phase": phase, "containerStatuses": [container | {"state": {"terminated": ended}}]}
    kubectl.patch_status("pod", name, status)


def wait_for_converter(kubectl: Kubectl) -> Object:
    return dict(wait_for(lambda: kubectl.list("pods", labels=RUNS), "a converter", 60)[0])


def convert(kubectl: Kubectl, trained: str, content: Path) -> str:
    """Publish a conversion, as the converter would, and report it; return its digest."""
    pod = wait_for_converter(kubectl)
    content.mkdir()
    (content / "model.onnx").write_bytes(trained.encode())
    digest = publish(content, f"{trained}-onnx", kind="onnx-model", producer="test/1").digest
    report = SuccessReport(model=PublishedModel(uri=f"{trained}-onnx", digest=digest))
    finish_converter(kubectl, pod["metadata"]["name"], 0, encode_report(report).decode())
    return digest


def events(kubectl: Kubectl) -> list[str]:
    found = kubectl.list("events.events.k8s.io")
    return [each["reason"] for each in found if each["regarding"].get("name") == NAME and each["action"] == "Retrain"]


def test_drift_in_the_requests_ends_in_one_retrained_model(
    kubectl: Kubectl, operator: Operator, servers: ScriptedServer, tmp_path: Path
) -> None:
    uri = publish_model(tmp_path, "v1")
    report_rows(servers, SAME, DIGEST)
    kubectl.apply(build(uri, f"file://{tmp_path}/store/models"))
    first = wait_for_stable(kubectl, servers)
    assert wait_for_reason(kubectl, "NotDrifted")["status"] == "False"
    assert kubectl.list("trainingjobs", labels=RUNS) == []

    report_rows(servers, SHIFTED, DIGEST)
    job = wait_for_job(kubectl)
    assert wait_for_reason(kubectl, "Training")["status"] == "True"
    assert job["metadata"]["labels"]["team"] == "digits"
    owner = kubectl.get("mdep", NAME)["metadata"]["uid"]
    assert [each["uid"] for each in job["metadata"]["ownerReferences"]] == [owner]

    trained = finish_job(kubectl, job)
    spec = wait_for_converter(kubectl)["spec"]
    assert wait_for_reason(kubectl, "Converting")["status"] == "True"
    assert spec["automountServiceAccountToken"] is False
    assert spec["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert spec["containers"][0]["envFrom"] == [{"secretRef": {"name": "artifact-store"}}]
    digest = convert(kubectl, trained, tmp_path / "converted")

    second = wait_for_stable(kubectl, servers, first)
    report_rows(servers, SAME, digest)
    wait_for(lambda: "It serves." in retraining(kubectl).get("message", ""), "the model to serve", 30)
    found = kubectl.get("mdep", NAME)
    assert found["spec"]["predictors"][0]["graph"]["modelUri"] == uri, "the spec is the user's"
    record = kubectl.get("controllerrevision", f"{NAME}-{second}")
    assert record["data"]["predictor"]["graph"]["modelUri"] == f"{trained}-onnx"
    wait_for(
        lambda: condition(kubectl.get("mdep", NAME), "Drifted").get("reason") == "WithinLimit", "the drift to end", 60
    )
    assert len(kubectl.list("trainingjobs", labels=RUNS)) == 1
    assert sorted(events(kubectl)) == ["Retrained", "RetrainingStarted"]
    # the user's model wins
    kubectl.apply(build(publish_model(tmp_path, "v2"), f"file://{tmp_path}/store/models"))
    third = wait_for_stable(kubectl, servers, second)
    record = kubectl.get("controllerrevision", f"{NAME}-{third}")
    assert record["data"]["predictor"]["graph"]["modelUri"].endswith("/v2")
    assert "model" not in kubectl.get("mdep", NAME)["status"]["retrain"]


def test_what_fails_is_said_and_nothing_is_left_without_retrain(
    kubectl: Kubectl, operator: Operator, servers: ScriptedServer, tmp_path: Path
) -> None:
    models = f"file://{tmp_path}/store/models"
    deployment = build(publish_model(tmp_path, "v1"), models, spec__monitor__retrain__coolDownSeconds=1)
    report_rows(servers, SHIFTED, DIGEST)
    kubectl.apply(deployment)
    stable = wait_for_stable(kubectl, servers)
    first = wait_for_job(kubectl)
    finish_job(kubectl, first, succeeded=False)
    assert "Worker 1 failed with exit code 3." in wait_for_reason(kubectl, "JobFailed")["message"]

    retry = change(deployment, spec__monitor__retrain__conversion__minAccuracy=0.5)
    kubectl.apply(retry)
    second = wait_for_job(kubectl, first["metadata"]["name"])
    finish_job(kubectl, second)
    pod = wait_for_converter(kubectl)
    finish_converter(kubectl, pod["metadata"]["name"], 2, "fairlead-onnx-converter: rejected: accuracy 0.1")
    assert "accuracy 0.1" in wait_for_reason(kubectl, "ModelRejected")["message"]
    assert status_of(kubectl)["stableRevision"] == stable

    kubectl.apply(change(retry, spec__monitor__retrain=...))
    wait_for(lambda: not kubectl.list("trainingjobs", labels=RUNS), "the jobs to go", 30)
    wait_for(lambda: not kubectl.list("pods", labels=RUNS), "the converter to go", 30)
    wait_for(lambda: "retrain" not in status_of(kubectl), "no status", 15)


def test_a_template_may_change_unlike_a_job(kubectl: Kubectl) -> None:
    deployment = build("s3://models/digits/v1", "s3://models/digits", metadata__name="edited")
    kubectl.apply(deployment)
    kubectl.apply(change(deployment, spec__monitor__retrain__template__spec__dataset__uri="s3://datasets/digits/v3"))
    kubectl.apply(change(deployment, spec__monitor__retrain__template__spec__launcher="Torchrun"))
    kubectl("delete", "mdep", "edited")
