"""The worked example, stage by stage: from raw digits to predictions over HTTP and a bundle for the edge."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlead.cli.console import out
from fairlead.cli.manifests import read_manifests
from fairlead.client import FairleadClient, Object
from fairlead.core import names
from fairlead_artifacts import ArtifactNotFound, read_manifest, validation_uri
from rich.console import Console

from fairlead_cluster.base.home import Home
from fairlead_cluster.demo.programs import EXAMPLE, Programs
from fairlead_cluster.demo.stages import Stages
from fairlead_cluster.demo.waiting import replace, watch_training
from fairlead_cluster.environments import setup
from fairlead_cluster.local import cluster as local_cluster
from fairlead_cluster.local.node.paths import plain_path

COMPONENTS = (
    "kubernetes", "trainer", "data-validation", "onnx-converter", "graph-server", "edge-runtime", "digits",
)  # fmt: skip
_WAIT_SECONDS = 120.0
SCALE = "0.0625"
"""The digits' pixels are 0 to 16, the network's inputs 0 to 1."""

Facts = dict[str, Any]
"""The results of the stages, by name, for the report."""


@dataclass
class Demo:
    """The stages in order."""

    home: Path
    stages: Stages
    facts: Facts = field(default_factory=dict)

    def all(self, report: Path) -> Facts:
        """Run every stage; return the figures for the summary."""
        with self.stages.stage("setup", spinner=False) as stage:
            setup(COMPONENTS, self.home, out)
            stage.result = f"environments in {self.home}"
        with self.stages.stage("cluster", spinner=False) as stage:
            local_cluster.up(self.home, console=Console(quiet=True))
            os.environ["KUBECONFIG"] = str(Home(self.home).cluster / "kubeconfig")
            stage.result = "control plane, node and operator run"
        self._data()
        self._train()
        self._convert()
        self._serve()
        self._predict()
        self._edge()
        with self.stages.stage("report") as stage:
            facts_file = self._work / "facts.json"
            facts_file.write_text(json.dumps(self.facts))
            self._programs.run_script("report.py", "--facts", str(facts_file), "--out", str(report.absolute()))
            stage.result = str(report.absolute())
        return self.facts

    def _data(self) -> None:
        with self.stages.stage("data") as stage:
            uri = self._uri("datasets/digits/v1")
            self.facts["dataset"] = self._programs.run_script("data.py", "--uri", uri)
            stage.result = f"{uri}  {_short(self.facts['dataset']['digest'])}"

    def _train(self) -> None:
        """Apply the job before its dataset is validated: it must stay Blocked until then."""
        job = self._manifest("training-job.yaml")
        job["spec"]["dataset"]["digest"] = self.facts["dataset"]["digest"]
        name = job["metadata"]["name"]
        client = FairleadClient()
        for obj in _surroundings():
            client.apply(obj)
        validated = self._is_validated()
        if not validated:
            with self.stages.stage("gate") as stage:
                replace(client, job)
                client.wait("TrainingJob", name, "Blocked", seconds=_WAIT_SECONDS)
                stage.result = f"TrainingJob {name} is Blocked: its dataset has no validation yet"
        self._validate()
        with self.stages.stage("training", spinner=False) as stage:
            if validated:
                replace(client, job)
            status = watch_training(client, name)
            self.facts["training"] = status
            stage.result = f"model {status['modelVersion']}, final loss {status['progress']['metrics']['loss']:.4f}"
        self.facts["model"] = next(item for item in status["provenance"] if item["name"] == "model")

    def _is_validated(self) -> bool:
        """Return whether an earlier run has validated this dataset."""
        dataset = self.facts["dataset"]
        try:
            read_manifest(validation_uri(dataset["uri"], dataset["digest"]))
        except ArtifactNotFound:
            return False
        return True

    def _validate(self) -> None:
        with self.stages.stage("validation") as stage:
            dataset = self.facts["dataset"]
            result = self._programs.run_component(
                "fairlead-data-validation", "--dataset", dataset["uri"], "--digest", dataset["digest"],
                "--suite", str(EXAMPLE / "expectations.json"),
            )  # fmt: skip
            self.facts["validation"] = result
            stage.result = f"passed: {result['uri']}"

    def _convert(self) -> None:
        with self.stages.stage("conversion") as stage:
            model, dataset = self.facts["model"], self.facts["dataset"]
            onnx_uri = self._uri(f"models/digits-onnx/{self.facts['training']['modelVersion']}")
            self.facts["onnx"] = self._programs.run_component(
                "fairlead-onnx-converter", "--scale", SCALE, "--model", model["uri"], "--digest", model["digest"],
                "--dataset", dataset["uri"], "--dataset-digest", dataset["digest"], "--out-uri", onnx_uri,
            )  # fmt: skip
            self.facts["scaler"] = self._programs.run_component(
                "fairlead-onnx-converter", "scaler", "--scale", SCALE, "--shape", "1,8,8",
                "--out-uri", self._uri("models/digits-scaler/v1"),
            )  # fmt: skip
            stage.result = f"ONNX agrees with torch: {onnx_uri}"

    def _serve(self) -> None:
        with self.stages.stage("serving") as stage:
            deployment = self._manifest("model-deployment.yaml")
            scaler = deployment["spec"]["predictors"][0]["graph"]
            scaler["modelUri"] = self.facts["scaler"]["uri"]
            scaler["children"][0]["modelUri"] = self.facts["onnx"]["uri"]
            client = FairleadClient()
            client.apply(deployment)
            name = deployment["metadata"]["name"]
            client.wait("ModelDeployment", name, "Ready", seconds=_WAIT_SECONDS)
            address = client.get("Service", name)["spec"]["clusterIP"]
            self.facts["url"] = f"http://{address}:{names.SERVING_PORT}/v2/models/{name}"
            stage.result = f"ModelDeployment {name} is Ready: {self.facts['url']}"

    def _predict(self) -> None:
        with self.stages.stage("predictions") as stage:
            predictions = self._work / "predictions.json"
            result = self._programs.run_script(
                "evaluate.py", "--url", self.facts["url"], "--dataset", self.facts["dataset"]["uri"],
                "--out", str(predictions),
            )  # fmt: skip
            self.facts |= {"accuracy": result["accuracy"], "predictions": str(predictions)}
            stage.result = f"{result['count']} held-out digits over HTTP, accuracy {result['accuracy']:.4f}"

    def _edge(self) -> None:
        with self.stages.stage("edge") as stage:
            sources = (
                "--model", self.facts["onnx"]["uri"], "--dataset", self.facts["dataset"]["uri"], "--scale", SCALE,
            )  # fmt: skip
            self.facts["targets"] = self._programs.run_component("fairlead-edge", "compare", *sources)
            self.facts["edge"] = self._programs.run_component(
                "fairlead-edge", "build", "--target", "onnx-int8", *sources,
                "--name", "digits", "--out-uri", self._uri(f"bundles/digits/{self.facts['training']['modelVersion']}"),
            )  # fmt: skip
            stage.result = f"int8 bundle: {self.facts['edge']['uri']}"

    @property
    def _programs(self) -> Programs:
        return Programs(self.home, self._work)

    @property
    def _work(self) -> Path:
        folder = self.home / "demo"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def _artifacts(self) -> str:
        """The URI of the local artifact store; URIs of artifacts have no spaces."""
        return f"file://{plain_path(self.home)}/artifacts"

    def _uri(self, path: str) -> str:
        """Return a place in the local artifact store."""
        return f"{self._artifacts}/{path}"

    def _manifest(self, file: str) -> Object:
        """Load a resource of the example, with its s3:// URIs replaced by paths of the local store."""
        (obj,) = read_manifests(EXAMPLE / file)
        return dict(json.loads(json.dumps(obj).replace("s3://", f"{self._artifacts}/")))


def _surroundings() -> list[Object]:
    """Return the objects that the example's resources refer to: the script, and a Secret (empty for a local store)."""
    code = {"train.py": (EXAMPLE / "train.py").read_text()}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "digits-code"}, "data": code},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "artifact-store"}, "type": "Opaque"},
    ]


def _short(digest: str) -> str:
    return digest[: len("sha256:") + 12] + "…"
