"""The steps' resources, and how they wait; against real HTTP servers, and a real cluster in tests/local."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from fairlead_pipelines.components import CHECKOUT
from fairlead_pipelines.steps.cluster import Cluster, StepFailed, find_condition
from fairlead_pipelines.steps.deployment import Deployment, Model, build_model_deployment
from fairlead_pipelines.steps.training import Training, build_training_job

EXAMPLE = CHECKOUT / "examples" / "digits"
DIGEST = f"sha256:{'0' * 64}"
Answer = tuple[int, dict[str, Any]]


def test_training_job_is_the_examples() -> None:
    example = yaml.safe_load((EXAMPLE / "training-job.yaml").read_text())
    training = Training(
        name="digits",
        image="fairlead/trainer:0.1.0",
        code="digits-code",
        script="train.py",
        arguments=(),
        workers=2,
        dataset_uri="s3://datasets/digits/v1",
        dataset_digest=DIGEST,
        model_uri="s3://models/digits",
        store_secret="artifact-store",
        seconds=900,
    )
    assert build_training_job(training) == example


def test_model_deployment_is_the_examples_with_digests() -> None:
    (expected,) = yaml.safe_load_all((EXAMPLE / "model-deployment.yaml").read_text())
    scaler = expected["spec"]["predictors"][0]["graph"]
    scaler["digest"] = f"sha256:{'1' * 64}"
    scaler["children"][0]["digest"] = f"sha256:{'2' * 64}"
    deployment = Deployment(
        name="digits",
        scaler=Model("s3://models/digits-scaler/v1", scaler["digest"]),
        classifier=Model("s3://models/digits-onnx/v1", scaler["children"][0]["digest"]),
        replicas=1,
        store_secret="artifact-store",
        seconds=900,
    )
    assert build_model_deployment(deployment) == expected


@pytest.mark.parametrize(
    ("status", "observed", "holds"),
    [
        pytest.param("True", 2, True, id="it speaks of this spec"),
        pytest.param("True", 1, False, id="it speaks of an earlier spec"),
        pytest.param("False", 2, False, id="it is not true"),
    ],
)
def test_a_condition_counts_only_for_the_present_spec(status: str, observed: int, holds: bool) -> None:
    condition = {"type": "Ready", "status": status, "observedGeneration": observed}
    found = find_condition({"metadata": {"generation": 2}, "status": {"conditions": [condition]}}, "Ready")
    assert (found is not None) is holds


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[list[Answer]], Cluster]]:
    """Return a client of a server that gives these answers in turn, and the last one for ever."""
    servers: list[ThreadingHTTPServer] = []

    def start(answers: list[Answer]) -> Cluster:
        rest = list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                code, body = rest.pop(0) if len(rest) > 1 else rest[0]
                content = json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *words: Any) -> None:
                """Keep quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _write_kubeconfig(tmp_path / "config", f"http://127.0.0.1:{server.server_port}")
        for module in ("kubernetes.config", "kubernetes.config.kube_config"):  # both read KUBECONFIG when imported
            monkeypatch.setattr(f"{module}.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config"))
        return Cluster("default")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def _write_kubeconfig(path: Path, url: str) -> None:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "c", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
    }
    path.write_text(yaml.safe_dump(document))


def _job(*conditions: dict[str, Any]) -> Answer:
    return 200, {"metadata": {"name": "j", "generation": 1}, "status": {"conditions": list(conditions)}}


BLOCKED = {"type": "Blocked", "status": "True", "reason": "NotValidated", "message": "No validation for this digest."}
DONE = {"type": "Succeeded", "status": "True", "reason": "Done", "message": "", "observedGeneration": 1}


def test_waiting_outlives_an_api_server_that_restarts(serve: Callable[[list[Answer]], Cluster]) -> None:
    cluster = serve([(503, {"message": "starting"}), (429, {"message": "later"}), _job(BLOCKED), _job(DONE)])
    found = cluster.wait("TrainingJob", "j", lambda job: find_condition(job, "Succeeded") is not None, 30)
    assert found["status"]["conditions"] == [DONE]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param(_job(BLOCKED), "Blocked=True NotValidated: No validation for this digest", id="it stays blocked"),
        pytest.param(_job(), "the operator has not looked at it", id="no operator runs"),
        pytest.param((404, {"message": "not found"}), "was deleted while the step waited", id="somebody deletes it"),
        pytest.param((403, {"message": "no rights"}), "403: no rights", id="the account may not read it"),
        pytest.param((503, {"message": "starting"}), "503: starting", id="the API server never comes back"),
    ],
)
def test_waiting_in_vain_says_why(serve: Callable[[list[Answer]], Cluster], answer: Answer, message: str) -> None:
    cluster = serve([answer])
    with pytest.raises(StepFailed, match=message):
        cluster.wait("TrainingJob", "j", lambda job: False, 1)
