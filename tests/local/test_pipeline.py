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
from fairlead.local.cluster import down, up
from fairlead.local.home import CHECKOUT, Home, default_home

from tests.local.support import LocalCluster

EXAMPLE = CHECKOUT / "examples" / "digits"
ENVIRONMENTS = ("pipelines", "trainer", "data-validation", "onnx-converter", "graph-server", "example")
EPOCHS = 8
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
        return f"file://{self.cluster.home}/artifacts"

    def publish(self, name: str, *flags: str) -> dict[str, str]:
        """Publish the example's dataset and return its uri and digest."""
        return self.example("data.py", "--uri", f"{self.artifacts}/datasets/{name}", *flags)

    def example(self, script: str, *words: str) -> dict[str, Any]:
        """Run a script of the example and return its last line."""
        python = self.cluster.home / "envs" / "example" / "bin" / "python"
        argv = [str(python), str(EXAMPLE / script), *words]
        output = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout
        return dict(json.loads(output.splitlines()[-1]))

    def run(self, run: str, dataset: dict[str, str], **parameters: Any) -> subprocess.CompletedProcess[str]:
        """Run the pipeline; the parameters are those of the pipeline."""
        given = {
            "run": run,
            "dataset_uri": dataset["uri"],
            "dataset_digest": dataset["digest"],
            "suite": (EXAMPLE / "expectations.json").read_text(),
            "models_uri": f"{self.artifacts}/models",
            "arguments": json.dumps(["--epochs", str(EPOCHS)]),
            **parameters,
        }
        home = self.cluster.home
        # timeout(1) ends the whole process group: a task of kfp.local outlives a run that is merely killed
        argv = ["timeout", "--kill-after=5", str(RUN_SECONDS)]
        argv += [str(home / "bin" / "fairlead-pipelines"), "run-local", "--out", str(home / f"{run}.json")]
        argv += [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
        path = f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "PATH": path}
        return subprocess.run(argv, capture_output=True, text=True, env=environment)

    def outputs(self, run: str) -> dict[str, str]:
        """Return what a run that succeeded has left."""
        return dict(json.loads((self.cluster.home / f"{run}.json").read_text()))

    def names(self, kind: str) -> list[str]:
        """Return the names of the objects of a kind."""
        return self.cluster.kubectl("get", kind, "-o", "name").split()


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
        down(home.root)


def _apply_surroundings(cluster: LocalCluster) -> None:
    """Make what the pipeline's resources refer to, and an account with no rights but the Role's."""
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
    """Write a kubeconfig of the account beside the cluster's own."""
    token = cluster.kubectl("create", "token", ACCOUNT["name"]).strip()
    document = yaml.safe_load((cluster.home / "cluster" / "kubeconfig").read_text())
    document["users"] = [{"name": item["name"], "user": {"token": token}} for item in document["users"]]
    path = cluster.home / "pipeline-runner.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document))
    return path


def _condition(obj: dict[str, Any], type_: str) -> dict[str, Any]:
    return next(item for item in obj["status"]["conditions"] if item["type"] == type_)


def test_pipeline_leads_a_dataset_to_predictions_and_does_nothing_twice(pipelines: Pipelines) -> None:
    first = pipelines.run("digits-1", pipelines.dataset)
    assert first.returncode == 0, first.stdout[-4000:] + first.stderr[-2000:]

    job = pipelines.cluster.get("trainingjob", "digits-1")
    assert _condition(job, "Succeeded")["status"] == "True"
    assert pipelines.outputs("digits-1")["model_version"] == job["status"]["modelVersion"]
    assert "digits-1: Running: step" in first.stdout, "the step's log tells the job's progress"

    deployment = pipelines.cluster.get("modeldeployment", "digits")
    assert _condition(deployment, "Ready")["status"] == "True"
    assert pipelines.outputs("digits-1")["url"] == deployment["status"]["url"]
    classifier = deployment["spec"]["predictors"][0]["graph"]["children"][0]
    assert classifier["modelUri"].endswith(f"/models/digits-onnx/{job['status']['modelVersion']}")

    address = pipelines.cluster.get("service", "digits")["spec"]["clusterIP"]
    result = pipelines.example(
        "evaluate.py", "--url", f"http://{address}:8080/v2/models/digits", "--dataset", pipelines.dataset["uri"],
        "--out", str(pipelines.cluster.home / "predictions.json"),
    )  # fmt: skip
    assert result["count"] == 300
    assert result["accuracy"] >= 0.95

    again = pipelines.run("digits-1", pipelines.dataset)
    assert again.returncode == 0, again.stdout[-4000:] + again.stderr[-2000:]
    job_again = pipelines.cluster.get("trainingjob", "digits-1")
    for field_ in ("uid", "generation"):
        assert job_again["metadata"][field_] == job["metadata"][field_]
    assert pipelines.cluster.get("modeldeployment", "digits")["metadata"]["generation"] == 1
    assert pipelines.outputs("digits-1")["model_version"] == job["status"]["modelVersion"]

    other = pipelines.run("digits-1", pipelines.dataset, arguments='["--epochs", "1"]')
    assert other.returncode == 1
    assert "TrainingJob digits-1: exists with another spec; give this run another name" in other.stdout


def test_dataset_that_fails_its_validation_trains_nothing(pipelines: Pipelines) -> None:
    corrupt = pipelines.publish("digits/corrupt", "--corrupt")
    before = pipelines.names("trainingjobs")
    result = pipelines.run("digits-corrupt", corrupt)
    assert result.returncode == 1
    assert "the dataset did not pass" in result.stdout
    assert "x_max" in result.stdout, "the log names the expectation that failed"
    assert pipelines.names("trainingjobs") == before


def test_failed_training_ends_the_pipeline_with_the_jobs_message(pipelines: Pipelines) -> None:
    result = pipelines.run("digits-failing", pipelines.dataset, arguments='["--epochs", "many"]', workers=1)
    assert result.returncode == 1
    message = _condition(pipelines.cluster.get("trainingjob", "digits-failing"), "Failed")["message"]
    assert "TrainingJob digits-failing failed: " in result.stdout
    assert message.splitlines()[0] in result.stdout
    assert "invalid int value: 'many'" in result.stdout, "the last lines of the worker's log are in the message"
