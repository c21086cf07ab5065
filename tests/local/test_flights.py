"""The tabular example as a KFP pipeline, run by kfp.local: features joined, trained on, and looked up by keys."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fairlead_artifacts import read_manifest
from fairlead_cluster.base.home import CHECKOUT

from tests.local.pipelines import PipelineCluster, started_pipelines

EXAMPLE = CHECKOUT / "examples" / "flights"
UNTIL = "2013-12-16T11:00:00Z"
"""What data.py calls UNTIL."""
SHARE = "0.02"
RUN = "flights-1"


@pytest.fixture(scope="module")
def pipelines(make_home: Callable[[], Path]) -> Iterator[PipelineCluster]:
    with started_pipelines(make_home(), "flights", "feature-store") as started:
        store = {
            "registry": {"registry_type": "sql", "path": f"sqlite:///{started.cluster.home}/registry.db"},
            "online_store": {"type": "sqlite", "path": f"{started.cluster.home}/online.db"},
        }
        text = yaml.safe_dump(store)
        (started.cluster.home / "feature_store.yaml").write_text(text)
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "feature-store"}}
        started.cluster.apply(secret | {"stringData": {"feature_store.yaml": text}})
        yield started


@pytest.fixture(scope="module")
def published(pipelines: PipelineCluster) -> dict[str, Any]:
    """The example's artifacts."""
    return pipelines.example("data.py", "--uri", f"{pipelines.artifacts}/datasets/flights", "--share", SHARE)


@pytest.fixture(scope="module")
def finished(pipelines: PipelineCluster, published: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A run of the pipeline, shared by the tests."""
    places = dict(published)
    parameters = {"run-name": RUN, "known-until": UNTIL, "replay": "true"}
    parameters["script-arguments"] = json.dumps(["--epochs=4"])
    for name in ("definitions", "rows"):
        uri, _, digest = places.pop(name).rpartition("@")
        parameters |= {f"{name}-uri": uri, f"{name}-digest": digest}
    parameters |= {
        "sources": json.dumps(places),
        "expectation-suite": (EXAMPLE / "expectations.json").read_text(),
        "datasets-uri": f"{pipelines.artifacts}/joined",
        "models-uri": f"{pipelines.artifacts}/models",
    }
    flags = [f"--{name}={value}" for name, value in parameters.items()]
    result = pipelines.command(
        "run", CHECKOUT / "manifests" / "pipelines" / "flights.yaml", *flags, "--out", pipelines.outputs_file(RUN),
        "--report", pipelines.cluster.home / f"{RUN}.html",
        FAIRLEAD_FEATURE_STORE=str(pipelines.cluster.home / "feature_store.yaml"),
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-3000:]
    return result


@pytest.mark.usefixtures("finished")
def test_a_deployed_model_answers_by_the_keys_of_flights_alone(pipelines: PipelineCluster) -> None:
    deployment = pipelines.cluster.get("modeldeployment", "flights")
    assert pipelines.outputs(RUN)["url"] == deployment["status"]["url"]
    address = pipelines.cluster.get("service", "flights")["spec"]["clusterIP"]
    answered = pipelines.example("ask.py", "--url", f"http://{address}:8080/v2/models/flights")
    assert answered["count"] > 200
    assert answered["auc"] > 0.55


@pytest.mark.usefixtures("finished")
def test_the_model_was_trained_on_the_features_of_its_parents(
    pipelines: PipelineCluster, published: dict[str, str]
) -> None:
    job = pipelines.cluster.get("trainingjob", RUN)
    manifest = read_manifest(job["spec"]["dataset"]["uri"], job["spec"]["dataset"]["digest"])
    found = {parent.name.removeprefix("source-"): f"{parent.uri}@{parent.digest}" for parent in manifest.parents}
    assert found == published
    graph = pipelines.cluster.get("modeldeployment", "flights")["spec"]["predictors"][0]
    assert published["definitions"].rpartition("@")[2] in graph["componentSpecs"][0]["spec"]["containers"][0]["args"]
