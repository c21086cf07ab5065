"""The worked example as a KFP pipeline, run by kfp.local against the local cluster as an account with one Role."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from fairlead_artifacts import model_card_uri, read_manifest
from fairlead_cluster.base.home import CHECKOUT, Home, default_home
from fairlead_cluster.local.cluster import down, up
from fairlead_cluster.local.node.paths import plain_path
from fairlead_contracts.model_card import ModelCard

from tests.local.support import LocalCluster

EXAMPLE = CHECKOUT / "examples" / "digits"
ENVIRONMENTS = (
    "pipelines", "trainer", "data-validation", "onnx-converter", "evaluation", "graph-server", "digits",
)  # fmt: skip
TASKS = ("validate", "train", "convert", "evaluate", "make-scaler", "deploy")
EPOCHS = "8"
RUN_SECONDS = 400
ACCOUNT = {"name": "pipeline-runner", "namespace": "default"}


@dataclass(frozen=True)
class Pipelines:
    """A local cluster with the operator, the example's dataset and an account that may run its pipeline."""

    cluster: LocalCluster
    kubeconfig: Path
    dataset: dict[str, str] = field(default_factory=dict)

    @property
    def artifacts(self) -> str:
        return f"file://{plain_path(self.cluster.home)}/artifacts"

    def publish(self, name: str, *flags: str) -> dict[str, str]:
        """Publish the example's dataset and return its uri and digest."""
        return self.example("data.py", "--uri", f"{self.artifacts}/datasets/{name}", *flags)

    def example(self, script: str, *words: str) -> dict[str, Any]:
        """Run a script of the example and return its last line."""
        python = self.cluster.home / "envs" / "digits" / "bin" / "python"
        argv = [str(python), str(EXAMPLE / script), *words]
        output = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=RUN_SECONDS).stdout
        return dict(json.loads(output.splitlines()[-1]))

    def run(self, run: str, dataset: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run the whole pipeline."""
        parameters = {
            "run": run,
            "dataset-uri": dataset["uri"],
            "dataset-digest": dataset["digest"],
            "suite": (EXAMPLE / "expectations.json").read_text(),
            "models-uri": f"{self.artifacts}/models",
            "arguments": json.dumps(["--epochs", EPOCHS]),
        }
        flags = [f"--{name}={value}" for name, value in parameters.items()]
        return self._command("run", *flags, "--out", self._outputs(run), "--report", self.report(run))

    def train(self, run: str, epochs: str) -> subprocess.CompletedProcess[str]:
        """Run the step `train` like the pipeline."""
        return self._command(
            "train", "--name", run, "--image", "fairlead/trainer:0.1.0", "--code", "digits-code",
            "--argument=--epochs", f"--argument={epochs}", "--dataset", self.dataset["uri"],
            "--dataset-digest", self.dataset["digest"], "--model-uri", f"{self.artifacts}/models/digits",
            "--out", self._outputs(run),
        )  # fmt: skip

    def outputs(self, run: str) -> dict[str, str]:
        """Return the output of a run or its step `train`."""
        return dict(json.loads(self._outputs(run).read_text()))

    def report(self, run: str) -> Path:
        """Return the file of a run's report."""
        return self.cluster.home / f"{run}.html"

    def names(self, kind: str) -> list[str]:
        """Return the names of the objects of a kind."""
        return self.cluster.kubectl("get", kind, "-o", "name").split()

    def _outputs(self, run: str) -> Path:
        return self.cluster.home / f"{run}.json"

    def _command(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        folder = self.cluster.home / "bin"
        # timeout(1) ends the whole process group; a task of kfp.local would outlive a killed run
        argv = ["timeout", "--kill-after=5", str(RUN_SECONDS), str(folder / "fairlead-pipelines"), *map(str, words)]
        path = f"{folder}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "PATH": path}
        return subprocess.run(argv, capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def pipelines(make_home: Callable[[], Path]) -> Iterator[Pipelines]:
    home, built = Home(make_home()), Home(default_home())
    if missing := [name for name in ENVIRONMENTS if not (built.envs / name / "fairlead.key").exists()]:
        pytest.fail(f"no environments {missing} in {built.envs}; run `fairlead setup {' '.join(missing)}`")
    home.envs.symlink_to(built.envs)
    for command in built.bin.glob("fairlead-*"):
        (home.bin / command.name).symlink_to(command)
    up(home.root)
    try:
        cluster = LocalCluster(home.root)
        _apply_surroundings(cluster)
        ready = Pipelines(cluster, _write_kubeconfig(cluster))
        ready.dataset.update(ready.publish("digits/v1"))
        yield ready
    finally:
        down(home.root, purge=True)


@pytest.fixture(scope="module")
def first(pipelines: Pipelines) -> subprocess.CompletedProcess[str]:
    """The run `digits-1`, shared by the tests."""
    result = pipelines.run("digits-1", pipelines.dataset)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    return result


def _apply_surroundings(cluster: LocalCluster) -> None:
    """Create the objects that the pipeline's resources refer to, and an account with only the Role's permissions."""
    role = yaml.safe_load((CHECKOUT / "manifests" / "pipelines" / "role.yaml").read_text())
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "pipeline-runner"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role["metadata"]["name"]},
        "subjects": [{"kind": "ServiceAccount", **ACCOUNT}],
    }
    code = {"train.py": (EXAMPLE / "train.py").read_text()}
    cluster.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "digits-code"}, "data": code},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "artifact-store"}, "type": "Opaque"},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": ACCOUNT},
        role,
        binding,
    )


def _write_kubeconfig(cluster: LocalCluster) -> Path:
    """Write a kubeconfig for the account next to the cluster's own."""
    token = cluster.kubectl("create", "token", ACCOUNT["name"]).strip()
    document = yaml.safe_load((cluster.home / "cluster" / "kubeconfig").read_text())
    document["users"] = [{"name": item["name"], "user": {"token": token}} for item in document["users"]]
    path = cluster.home / "pipeline-runner.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document))
    return path


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
    assert page.count("<iframe sandbox") == 1, "the model's card"

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


def test_dataset_that_fails_its_validation_trains_nothing(pipelines: Pipelines) -> None:
    corrupt = pipelines.publish("digits/corrupt", "--corrupt")
    before = pipelines.names("trainingjobs")
    result = pipelines.run("digits-corrupt", corrupt)
    assert result.returncode == 1
    assert "Inner task failed: 'validate'" in result.stderr
    assert "x_max" in result.stderr, "the log names the expectation that failed"
    assert "train: skipped" in pipelines.report("digits-corrupt").read_text()
    assert pipelines.names("trainingjobs") == before
