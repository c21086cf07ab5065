"""Retraining for real: pictures that drift are sent to a model, which is trained, converted, measured and replaced."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from fairlead_cluster.base.home import CHECKOUT
from fairlead_cluster.local.node.paths import plain_path

from tests.local.support import LocalCluster
from tests.support.api_server import condition, wait_for
from tests.support.resources import Object, change

EXAMPLE = CHECKOUT / "examples" / "retraining"
NAME = "digits-retrained"
FAST = {
    "spec__rollout": {
        "steps": [{"traffic": 50, "seconds": 2}],
        "analysis": {"intervalSeconds": 2, "minRequests": 20, "failureLimit": 0, "maxErrorRate": 0.2},
    },
    "spec__monitor__drift": {"windowSeconds": 30, "minRows": 300, "maxPsi": 0.25},
}
PUBLISH = """
import json, sys, tempfile, numpy as np
from fairlead_artifacts import publish
from sklearn.datasets import load_digits
digits = load_digits()
order = np.random.default_rng(1).permutation(len(digits.target))
images = digits.images.astype(np.float32)[order, np.newaxis] / 16
images = images.swapaxes(2, 3) if sys.argv[2] == "turned" else images
labels = digits.target.astype(np.int64)[order]
with tempfile.TemporaryDirectory() as folder:
    np.savez(f"{folder}/train.npz", x=images[:1400], y=labels[:1400])
    np.savez(f"{folder}/eval.npz", x=images[1400:], y=labels[1400:])
    print(json.dumps({"digest": publish(folder, sys.argv[1], kind="dataset", producer="test/1").digest}))
"""
SEND = """
import json, sys, time, urllib.error, urllib.request, numpy as np
from sklearn.datasets import load_digits
digits, chance = load_digits(), np.random.default_rng(2)
while True:
    rows = chance.integers(0, len(digits.target), 20)
    images = digits.images[rows].swapaxes(1, 2) / 16
    tensor = {"name": "image", "datatype": "FP32", "shape": [20, 1, 8, 8], "data": images.ravel().tolist()}
    request = urllib.request.Request(sys.argv[1], json.dumps({"inputs": [tensor]}).encode(), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            scores = np.reshape(json.load(answer)["outputs"][0]["data"], (20, 10))
        print(f"{(scores.argmax(1) == digits.target[rows]).mean():.2f}", flush=True)
    except (urllib.error.URLError, OSError) as error:
        print(f"failed: {error}", flush=True)
    time.sleep(0.1)
"""
"""Sends pictures with rows for columns, and prints the share of right answers."""


def run(cluster: LocalCluster, environment: str, *words: str) -> Object:
    """Run Python, or a command, of a component's environment; return the JSON that it prints last."""
    folder = cluster.home / "envs" / environment / "bin"
    done = subprocess.run([str(folder / words[0]), *words[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1])) if done.stdout.rstrip().endswith("}") else {}


@contextmanager
def sending(cluster: LocalCluster, address: str, log: Path) -> Iterator[None]:
    """Send turned pictures during the block."""
    python = str(cluster.home / "envs" / "digits" / "bin" / "python")
    with log.open("w") as file:
        sender = subprocess.Popen([python, "-c", SEND, f"http://{address}:8080/v2/models/{NAME}/infer"], stdout=file)
        try:
            yield
        finally:
            sender.terminate()
            sender.wait(timeout=30)


def wait_for_retraining(cluster: LocalCluster, text: str, seconds: float) -> None:
    """Wait until the condition `Retraining` has a text in its reason or message."""

    def look() -> bool:
        found = condition(cluster.get("mdep", NAME), "Retraining")
        return text in f"{found.get('reason')} {found.get('message')}"

    try:
        wait_for(look, text, seconds)
    except AssertionError:
        print(cluster.kubectl("get", "mdep", NAME, "-o", "yaml"))
        print(cluster.kubectl("get", "tj,pods", "-o", "wide"))
        print(cluster.kubectl("describe", "pods", "-l", f"fairlead.dev/retrains={NAME}"))
        raise


def train_first(cluster: LocalCluster, template: Object, model: str) -> Object:
    """Train a model by the template of the deployment, and publish its conversion; return the job."""
    head = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "TrainingJob", "metadata": {"name": "digits-first"}}
    cluster.apply(head | template)
    wait_for(lambda: cluster.get("tj", "digits-first").get("status", {}).get("completionTime"), "the first job", 180)
    job = cluster.get("tj", "digits-first")
    assert job["status"]["phase"] == "Succeeded", job["status"]
    (trained,) = (each["uri"] for each in job["status"]["provenance"] if each["name"] == "model")
    dataset = template["spec"]["dataset"]["uri"]
    options = ["--model", trained, "--dataset", dataset, "--out-uri", model, "--min-accuracy", "0.8"]
    run(cluster, "onnx-converter", "fairlead-onnx-converter", *options)
    return job


def test_drifting_pictures_end_in_a_retrained_model_that_serves(fairlead: LocalCluster, tmp_path: Path) -> None:
    store = f"file://{plain_path(tmp_path)}/store"
    for version, kind in (("v1", "upright"), ("v2", "turned")):
        run(fairlead, "digits", "python", "-c", PUBLISH, f"{store}/datasets/{version}", kind)
    fairlead.kubectl("create", "configmap", "digits-retraining-code", f"--from-file={EXAMPLE / 'train.py'}")
    deployment = yaml.safe_load((EXAMPLE / "model-deployment.yaml").read_text())
    places = {"dataset": {"uri": f"{store}/datasets/v1"}, "model": {"uri": f"{store}/models"},
              "checkpoint": {"uri": f"{store}/checkpoints", "everySteps": 100}}  # fmt: skip
    template = deployment["spec"]["monitor"]["retrain"]["template"]
    template["spec"] |= places
    first = train_first(fairlead, template, f"{store}/onnx/v1")

    path = "spec__monitor__retrain__"
    graph = {"name": "classifier", "type": "MODEL", "modelUri": f"{store}/onnx/v1"}
    deployment = change(deployment, spec__predictors__0__graph=graph, **FAST, **{
        f"{path}template__spec__dataset__uri": f"{store}/datasets/v2",
        f"{path}conversion": {"minAccuracy": 0.8, "resources": {"requests": {"cpu": "100m"}}},
    })  # fmt: skip
    fairlead.apply(deployment)
    wait_for(lambda: condition(fairlead.get("mdep", NAME), "Ready").get("status") == "True", "the first model", 120)
    stable, log = fairlead.get("mdep", NAME)["status"]["stableRevision"], tmp_path / "answers.txt"
    with sending(fairlead, fairlead.get("service", NAME)["spec"]["clusterIP"], log):
        wait_for_retraining(fairlead, "Training", 180)
        labels = f"fairlead.dev/retrains={NAME}"
        (job,) = wait_for(lambda: fairlead.list("trainingjobs", labels), "the job", 30)  # after the status
        checkpoints = f"{store}/checkpoints/digits-first-{first['metadata']['uid'][:8]}"
        assert job["spec"]["checkpoint"]["restoreFrom"] == checkpoints
        wait_for_retraining(fairlead, "It serves.", 300)
        wait_for(
            lambda: condition(fairlead.get("mdep", NAME), "Drifted").get("status") == "False", "the drift to end", 180
        )
        promoted = len(log.read_text().splitlines())
        wait_for(lambda: len(log.read_text().splitlines()) >= promoted + 40, "answers after the promotion", 60)
    found = fairlead.get("mdep", NAME)
    (job,) = fairlead.list("trainingjobs", f"fairlead.dev/retrains={NAME}")
    # the last checkpoint may be complete after the last report of the first job
    assert job["status"]["resumedFromStep"] >= first["status"]["progress"]["checkpointStep"] > 0
    assert found["status"]["stableRevision"] != stable
    assert found["spec"]["predictors"][0]["graph"] == graph, "the spec is the user's"
    answers = log.read_text().splitlines()
    assert [answer for answer in answers if answer.startswith("failed")] == []
    assert sum(map(float, answers[:20])) / 20 < 0.6, "the first model knows no turned pictures"
    assert sum(map(float, answers[-20:])) / 20 > 0.9, "the retrained one does"
