"""The steps of the worked example in pods, shared by several tests."""

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead_cluster.base.home import CHECKOUT, default_home
from fairlead_cluster.environments import environment_python

from tests.support.api_server import Kubectl, Object, condition, wait_for
from tests.support.kind import forwarded, load_example, owned_objects, run_step, store_environment

EXAMPLE = CHECKOUT / "examples" / "digits"
VERSION = "0.1.0"
RUN = time.strftime("%Y%m%d-%H%M%S")
"""A separate dataset path for each test run, because a validated dataset would not block the job."""


@dataclass
class Digits:
    """A run of the example in a namespace, with its own name."""

    kubectl: Kubectl
    namespace: str
    name: str

    def make_dataset(self) -> Object:
        """Publish the dataset from this machine; return its URI and digest."""
        with store_environment(self.kubectl, self.namespace) as environment:
            return self._example("data.py", "--uri", f"s3://datasets/{self.name}-{RUN}/v1", environment=environment)

    def apply_job(self, dataset: Object) -> None:
        """Apply script and TrainingJob."""
        code = {"train.py": (EXAMPLE / "train.py").read_text()}
        meta = {"name": f"{self.name}-code", "namespace": self.namespace}
        self.kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": code})
        (job,) = load_example(EXAMPLE / "training-job.yaml", **{"digits-code": f"{self.name}-code",
                                                                "job: digits": f"job: {self.name}"})  # fmt: skip
        job["metadata"] = {"name": self.name, "namespace": self.namespace}
        job["spec"]["dataset"] |= dataset
        self.kubectl.apply(job)

    def validate(self, dataset: Object) -> None:
        """Validate the dataset in a pod."""
        command = ["fairlead-data-validation", "--dataset", dataset["uri"], "--digest", dataset["digest"],
                   "--suite", "/input/suite.json", "--out", "/tmp/result.json"]  # fmt: skip
        suite = (EXAMPLE / "expectations.json").read_text()
        image = f"fairlead/data-validation:{VERSION}"
        run_step(self.kubectl, self.namespace, f"{self.name}-validate", image, command, **{"suite.json": suite})

    def wait_for_job(self, seconds: float = 300) -> Object:
        """Wait until the job has finished and return it."""

        def ended() -> Object:
            job = self.kubectl.get("tj", self.name, self.namespace)
            return job if job.get("status", {}).get("completionTime") else {}

        return dict(wait_for(ended, f"{self.name} to end", seconds))

    def convert(self, dataset: Object, job: Object) -> tuple[str, str]:
        """Convert the model and create the scaler in pods; return their URIs."""
        model = next(item for item in job["status"]["provenance"] if item["name"] == "model")
        image = f"fairlead/onnx-converter:{VERSION}"
        onnx, scaler = (
            f"s3://models/{self.name}-onnx/{job['status']['modelVersion']}",
            f"s3://models/{self.name}-scaler/v1",
        )
        run_step(
            self.kubectl, self.namespace, f"{self.name}-convert", image,
            ["fairlead-onnx-converter", "--scale", "0.0625", "--model", model["uri"], "--digest", model["digest"],
             "--dataset", dataset["uri"], "--out-uri", onnx],
        )  # fmt: skip
        run_step(
            self.kubectl, self.namespace, f"{self.name}-scaler", image,
            ["fairlead-onnx-converter", "scaler", "--scale", "0.0625", "--shape", "1,8,8", "--out-uri", scaler],
        )  # fmt: skip
        return scaler, onnx

    def serve(self, scaler: str, onnx: str, seconds: float = 180) -> Object:
        """Apply the ModelDeployment, wait until it is Ready and return it."""
        (deployment,) = load_example(EXAMPLE / "model-deployment.yaml")
        deployment["metadata"] = {"name": self.name, "namespace": self.namespace}
        graph = deployment["spec"]["predictors"][0]["graph"]
        graph["modelUri"], graph["children"][0]["modelUri"] = scaler, onnx
        self.kubectl.apply(deployment)

        def ready() -> Object:
            found = self.kubectl.get("mdep", self.name, self.namespace)
            current = found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"]
            return found if current and condition(found, "Ready").get("status") == "True" else {}

        return dict(wait_for(ready, f"{self.name} to be Ready", seconds))

    def measure(self, dataset: Object, folder: Path) -> Object:
        """Send the held-out digits to the Service; return count and accuracy."""
        with (
            store_environment(self.kubectl, self.namespace) as environment,
            forwarded(self.kubectl, self.namespace, self.name, 8080) as url,
        ):
            return self._example(
                "evaluate.py", "--url", f"{url}/v2/models/{self.name}", "--dataset", dataset["uri"],
                "--out", str(folder / "predictions.json"), environment=environment,
            )  # fmt: skip

    def end_state(self) -> Object:
        """Return the state that must not depend on kills: conditions, counts, artifacts by name, children."""
        kubectl, namespace, name = self.kubectl, self.namespace, self.name
        job, deployment = (kubectl.get(kind, name, namespace)["status"] for kind in ("tj", "mdep"))
        return {
            "job": {c["type"]: (c["status"], c["reason"]) for c in job["conditions"]},
            "phase": job["phase"],
            "workers": job["workers"],
            "steps": (job["progress"]["step"], job["progress"]["totalSteps"]),
            "provenance": [item["name"] for item in job["provenance"]],
            "deployment": {c["type"]: (c["status"], c["reason"]) for c in deployment["conditions"]},
            "replicas": deployment["replicas"],
            "served": [item["name"] for item in deployment["provenance"]],
            "children": len(owned_objects(kubectl, namespace, f"fairlead.dev/job={name}"))
            + len(owned_objects(kubectl, namespace, f"fairlead.dev/deployment={name}")),
        }

    def _example(self, script: str, *arguments: str, environment: dict[str, str]) -> Object:
        command = [environment_python("digits", default_home()), EXAMPLE / script, *arguments]
        done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return result
