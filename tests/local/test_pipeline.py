"""The worked example as a KFP pipeline, run by kfp.local against the local cluster as an account with one Role."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fairlead_artifacts import model_card_uri, read_manifest
from fairlead_cluster.base.home import CHECKOUT
from fairlead_contracts.model_card import ModelCard

from tests.local.pipelines import RUN_SECONDS, PipelineCluster, started_pipelines
from tests.local.support import make_pod
from tests.support.api_server import wait_for
from tests.support.reader import read_object

EXAMPLE = CHECKOUT / "examples" / "digits"
TASKS = (
    "validate", "require-valid-dataset", "train", "convert", "evaluate", "require-good-model", "make-scaler", "deploy",
)  # fmt: skip
EPOCHS = "8"


@dataclass(frozen=True)
class Pipelines(PipelineCluster):
    """A cluster for the example, with its dataset."""

    dataset: dict[str, str] = field(default_factory=dict)

    def publish(self, name: str, *flags: str) -> dict[str, str]:
        """Publish the example's dataset and return its uri and digest."""
        return self.example("data.py", "--uri", f"{self.artifacts}/datasets/{name}", *flags)

    def run(self, run: str, dataset: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run the whole pipeline."""
        parameters = {
            "run-name": run,
            "dataset-uri": dataset["uri"],
            "dataset-digest": dataset["digest"],
            "expectation-suite": (EXAMPLE / "expectations.json").read_text(),
            "models-uri": f"{self.artifacts}/models",
            "script-arguments": json.dumps(["--epochs", EPOCHS]),
        }
        flags = [f"--{name}={value}" for name, value in parameters.items()]
        return self.command("run", *flags, "--out", self.outputs_file(run), "--report", self.report(run))

    def train(self, run: str, epochs: str, *flags: str) -> subprocess.CompletedProcess[str]:
        """Run the step `train` like the pipeline."""
        return self.command(*self._training(run, epochs), *flags)

    def start_training(self, run: str, epochs: str, **variables: str) -> "subprocess.Popen[str]":
        """Start the step `train` in a process group of its own."""
        program = [str(self.cluster.home / "bin" / "fairlead-pipelines"), *map(str, self._training(run, epochs))]
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), **variables}
        return subprocess.Popen(
            program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
            start_new_session=True,
        )  # fmt: skip

    def phase(self, run: str) -> str:
        """Return the phase of a run's job; empty before it exists."""
        found = read_object(self.cluster.kubeconfig, "trainingjob", run, "default")
        return str((found or {}).get("status", {}).get("phase", ""))

    def _training(self, run: str, epochs: str) -> list[str | Path]:
        return [
            "train", "--name", run, "--image", "fairlead/trainer:0.1.0", "--code", "digits-code",
            "--argument=--epochs", f"--argument={epochs}", "--dataset", self.dataset["uri"],
            "--dataset-digest", self.dataset["digest"], "--model-uri", f"{self.artifacts}/models/digits",
            "--out", self.outputs_file(run),
        ]  # fmt: skip

    def report(self, run: str) -> Path:
        """Return the file of a run's report."""
        return self.cluster.home / f"{run}.html"

    def names(self, kind: str) -> list[str]:
        """Return the names of the objects of a kind."""
        return self.cluster.kubectl("get", kind, "-o", "name").split()


@pytest.fixture(scope="module")
def pipelines(make_home: Callable[[], Path]) -> Iterator[Pipelines]:
    with started_pipelines(make_home(), "digits") as started:
        ready = Pipelines(started.cluster, started.kubeconfig, started.example_name)
        ready.dataset.update(ready.publish("digits/v1"))
        yield ready


@pytest.fixture(scope="module")
def first(pipelines: Pipelines) -> subprocess.CompletedProcess[str]:
    """The run `digits-1`, shared by the tests."""
    result = pipelines.run("digits-1", pipelines.dataset)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    return result


def _condition(obj: dict[str, Any], type_: str) -> dict[str, Any]:
    return next(item for item in obj["status"]["conditions"] if item["type"] == type_)


def test_pipeline_turns_dataset_into_predictions(pipelines: Pipelines, first: subprocess.CompletedProcess[str]) -> None:
    outputs = pipelines.outputs("digits-1")

    job = pipelines.cluster.get("trainingjob", "digits-1")
    assert _condition(job, "Succeeded")["status"] == "True"
    assert outputs["model_version"] == job["status"]["modelVersion"]
    assert "digits-1: Succeeded: step 144/144 " in first.stderr, "the step's log shows the job's progress"
    page = pipelines.report("digits-1").read_text()
    assert [task for task in TASKS if f'<h2 id="{task}">' not in page] == []
    assert page.count("<iframe sandbox") == 2, "the validation's page and the model's card"

    deployment = pipelines.cluster.get("modeldeployment", "digits")
    assert _condition(deployment, "Ready")["status"] == "True"
    assert outputs["url"] == deployment["status"]["url"]
    classifier = deployment["spec"]["predictors"][0]["graph"]["children"][0]
    assert classifier["modelUri"].endswith(f"/models/digits-onnx/{job['status']['modelVersion']}")

    address = pipelines.cluster.get("service", "digits")["spec"]["clusterIP"]
    answered = pipelines.example(
        "evaluate.py", "--url", f"http://{address}:8080/v2/models/digits", "--dataset", pipelines.dataset["uri"],
        "--out", str(pipelines.cluster.home / "predictions.json"),
    )  # fmt: skip
    assert answered["count"] == 300
    assert answered["accuracy"] >= 0.95


@pytest.mark.usefixtures("first")
def test_what_was_deployed_has_a_card_that_a_gate_accepts(pipelines: Pipelines) -> None:
    deployment = pipelines.cluster.get("modeldeployment", "digits")
    node = deployment["spec"]["predictors"][0]["graph"]["children"][0]
    card = read_manifest(model_card_uri(node["modelUri"], node["digest"]))
    figures = ModelCard.parse(dict(card.parameters), "parameters")
    assert (figures.success, figures.metric, figures.minimum) == (True, "accuracy", 0.9)
    assert figures.value >= 0.95


@pytest.mark.usefixtures("first")
def test_retried_training_step_finds_its_job(pipelines: Pipelines) -> None:
    before = pipelines.cluster.get("trainingjob", "digits-1")
    result = pipelines.train("digits-1", EPOCHS)
    assert result.returncode == 0, result.stderr
    after = pipelines.cluster.get("trainingjob", "digits-1")
    for name in ("uid", "generation"):
        assert after["metadata"][name] == before["metadata"][name]
    assert pipelines.outputs("digits-1")["version"] == before["status"]["modelVersion"]


@pytest.mark.usefixtures("first")
def test_name_of_another_training_is_rejected(pipelines: Pipelines) -> None:
    result = pipelines.train("digits-1", "1")
    assert result.returncode == 1
    assert "TrainingJob digits-1" in result.stderr
    assert "A job of an earlier run exists; give this run another name" in result.stderr


def test_failed_training_is_reported_with_its_message(pipelines: Pipelines) -> None:
    result = pipelines.train("digits-failing", "many")
    assert result.returncode == 1
    message = _condition(pipelines.cluster.get("trainingjob", "digits-failing"), "Failed")["message"]
    assert "TrainingJob digits-failing failed: " in result.stderr
    assert message in result.stderr
    assert "invalid int value: 'many'" in message, "the last lines of the worker's log"


@pytest.mark.usefixtures("first")
def test_a_step_that_is_ended_suspends_its_job_and_a_retry_resumes_it(pipelines: Pipelines) -> None:
    name = "digits-ended"
    step = pipelines.start_training(name, "200")
    wait_for(lambda: pipelines.phase(name) == "Running", "the job runs", RUN_SECONDS)
    os.killpg(step.pid, signal.SIGTERM)
    output, _ = step.communicate(timeout=60)
    assert f"{name}: suspended, because its step ended first" in output
    assert "fairlead-pipelines: ended by SIGTERM" in output
    assert step.returncode == 1
    wait_for(lambda: pipelines.phase(name) == "Suspended", "the job is suspended", RUN_SECONDS)
    uid = pipelines.cluster.get("trainingjob", name)["metadata"]["uid"]

    again = pipelines.start_training(name, "200", **_create_step_pod(pipelines, "step", "the-run"))
    wait_for(lambda: pipelines.phase(name) == "Running", "the job runs again", RUN_SECONDS)
    assert pipelines.cluster.get("trainingjob", name)["metadata"]["uid"] == uid
    pipelines.cluster.kubectl("delete", "configmap", "the-run")
    output, _ = again.communicate(timeout=RUN_SECONDS)
    assert f"TrainingJob {name}: deleted while waiting for it" in output, "the job is deleted with its run"


def _create_step_pod(pipelines: Pipelines, name: str, run: str) -> dict[str, str]:
    """Create a pod that is owned by an object in the place of a run's Workflow; return the variables of its step."""
    pipelines.cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": run}})
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": run, "controller": True}
    pod = make_pod(name, "sleep", "600", spec={"nodeSelector": {"nowhere": "true"}})
    pod["metadata"]["ownerReferences"] = [owner | {"uid": pipelines.cluster.get("configmap", run)["metadata"]["uid"]}]
    pipelines.cluster.apply(pod)
    return {"FAIRLEAD_POD_NAME": name, "FAIRLEAD_POD_NAMESPACE": "default"}


def test_one_command_installs_what_steps_need(pipelines: Pipelines) -> None:
    for namespace in ("kubeflow", "models"):
        pipelines.cluster.kubectl("create", "namespace", namespace)
    store = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret-of-the-store", "AWS_ENDPOINT_URL": "http://s"}
    admin = {"KUBECONFIG": str(pipelines.cluster.kubeconfig)}
    words = ["install", "--namespace=models", f"--script=digits-code={EXAMPLE / 'train.py'}"]
    words += [f"--suite={EXAMPLE / 'expectations.json'}"]
    result = pipelines.command(*words, **admin, **store)
    assert result.returncode == 0, result.stderr
    assert "secret-of-the-store" not in result.stdout + result.stderr
    kubectl = pipelines.cluster.kubectl
    account = "system:serviceaccount:kubeflow:pipeline-runner"
    for verb, kind, answer in (
        ("create", "trainingjobs", "yes"),
        ("get", "configmaps", "yes"),
        ("get", "secrets", "no"),
    ):
        assert kubectl("auth", "can-i", verb, kind, "-n", "models", f"--as={account}", check=False).strip() == answer
    assert list(json.loads(kubectl("get", "cm/digits-code", "-n", "models", "-o", "json"))["data"]) == ["train.py"]
    suites = json.loads(kubectl("get", "cm/expectation-suites", "-n", "kubeflow", "-o", "json"))["data"]
    assert list(suites) == ["expectations.json"]
    for namespace in ("kubeflow", "models"):
        secret = json.loads(kubectl("get", "secret/artifact-store", "-n", namespace, "-o", "json"))["data"]
        assert sorted(secret) == sorted(store)

    unset = dict.fromkeys((*store, "AWS_REGION"), "")
    again = pipelines.command("install", "--profile=models", "--store-secret=other", **admin, **unset)
    assert "MISSING: Secret models/other" in again.stdout
    assert "RoleBinding models/fairlead-pipelines-models-default-editor applied" in again.stdout


def test_a_script_that_is_missing_is_named_before_a_job_is_created(pipelines: Pipelines) -> None:
    missing = "ConfigMap no-code: does not exist in namespace default, expected one with train.py: `kubectl create "
    assert missing in pipelines.train("digits-no-code", "1", "--code=no-code").stderr
    assert "digits-code: got train.py, expected main.py" in pipelines.train("no-key", "1", "--script=main.py").stderr
    assert not {"digits-no-code", "no-key"} & {name.partition("/")[2] for name in pipelines.names("trainingjobs")}


def test_dataset_that_fails_its_validation_trains_nothing(pipelines: Pipelines) -> None:
    corrupt = pipelines.publish("digits/corrupt", "--corrupt")
    before = pipelines.names("trainingjobs")
    result = pipelines.run("digits-corrupt", corrupt)
    assert result.returncode == 1
    assert "Inner task failed: 'require-valid-dataset'" in result.stderr
    assert "x_max" in result.stderr, "the log names the expectation that failed"
    page = pipelines.report("digits-corrupt").read_text()
    assert "train: skipped" in page
    assert "Validation failed" in page, "the report of a dataset that did not pass is an output of its validation"
    assert pipelines.names("trainingjobs") == before
