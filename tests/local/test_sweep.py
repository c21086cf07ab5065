"""A Sweep of real trainings on the local cluster: pruned while they run, the operator killed, the best one served."""

import json
import signal
import subprocess
from pathlib import Path

import yaml
from fairlead_cluster.base.daemons import Daemons
from fairlead_cluster.base.home import CHECKOUT
from fairlead_cluster.local.cluster import OPERATOR, up
from fairlead_cluster.local.node.paths import plain_path

from tests.local.support import LocalCluster
from tests.support.api_server import condition, wait_for
from tests.support.resources import MODEL_DEPLOYMENT, Object, change

EXAMPLE = CHECKOUT / "examples" / "digits"
SWEEP = yaml.safe_load((EXAMPLE / "sweep.yaml").read_text())
NAME = SWEEP["metadata"]["name"]
TRIALS, SECONDS = 5, 400


def run(program: Path, *words: str) -> str:
    """Run a program and return its output."""
    done = subprocess.run([str(program), *words], capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def make_sweep(cluster: LocalCluster, trials: int = TRIALS) -> Object:
    """Return the example's sweep, smaller, with a dataset of this machine."""
    artifacts = f"file://{plain_path(cluster.home)}/artifacts"
    python = cluster.home / "envs" / "digits" / "bin" / "python"
    dataset = json.loads(
        run(python, str(EXAMPLE / "data.py"), "--uri", f"{artifacts}/datasets/digits/v1").splitlines()[-1]
    )
    job = "spec__template__spec__"
    return change(
        SWEEP, spec__maxTrials=trials,
        **{f"{job}dataset": {"uri": dataset["uri"], "digest": dataset["digest"]},
           f"{job}model": {"uri": f"{artifacts}/models/digits-sweep"}},
    )  # fmt: skip


def kill_operator(cluster: LocalCluster) -> None:
    """Kill the operator, and start another one."""
    process = Daemons(cluster.home / "cluster" / "processes", detached=True).find(OPERATOR)
    assert process
    process.signal(signal.SIGKILL)
    assert process.wait(10)
    up(cluster.home)


def test_a_sweep_prunes_outlives_its_operator_and_its_best_model_is_served(fairlead: LocalCluster) -> None:
    sweep = make_sweep(fairlead)
    code = {"train.py": (EXAMPLE / "train.py").read_text()}
    fairlead.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "digits-code"}, "data": code}, sweep)

    def status() -> Object:
        return dict(fairlead.get("sweep", NAME).get("status", {}))

    wait_for(lambda: status().get("counts", {}).get("running", 0), "a running trial", SECONDS)
    kill_operator(fairlead)
    wait_for(lambda: status().get("completionTime"), "the end of the sweep", SECONDS)
    found = fairlead.get("sweep", NAME)
    assert condition(found, "Succeeded")["status"] == "True", found["status"]
    counts, best = found["status"]["counts"], found["status"]["best"]
    assert (counts["total"], counts["failed"]) == (TRIALS, 0), found["status"]
    jobs = fairlead.list("trainingjobs", f"fairlead.dev/sweep={NAME}")
    assert [job["metadata"]["name"] for job in jobs] == [f"{NAME}-{number:04}" for number in range(1, TRIALS + 1)]
    assert all(job["status"]["workers"]["restarts"] == 0 for job in jobs), "a kill of the operator disturbs no training"
    assert best["value"] > 0.9, found["status"]
    serve_best(fairlead, found)


def serve_best(cluster: LocalCluster, sweep: Object) -> None:
    """Convert the model of the best trial, and wait until it is served."""
    model, data = sweep["status"]["best"]["model"], sweep["spec"]["template"]["spec"]["dataset"]
    converter, served = cluster.home / "envs/onnx-converter/bin/fairlead-onnx-converter", f"{model['uri']}-onnx"
    run(converter, "--scale", "0.0625", "--model", model["uri"], "--digest", model["digest"],
        "--dataset", data["uri"], "--dataset-digest", data["digest"], "--out-uri", served)  # fmt: skip
    graph = {"name": "classifier", "modelUri": served}
    cluster.apply(change(MODEL_DEPLOYMENT, metadata__name="best", spec__predictors__0__graph=graph))
    wait_for(lambda: condition(cluster.get("mdep", "best"), "Ready").get("status") == "True", "the model", 120)
