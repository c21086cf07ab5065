"""Real Horovod runs with the launcher and agents."""

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from fairlead_artifacts import Manifest, Parent, fetch

from .conftest import ROOT, Job

NewJob = Callable[..., Job]

ENDLESS = """
import os, sys, horovod.torch as hvd, torch
hvd.init()
print("ready", flush=True)
for step in range(10**9):
    hvd.allreduce(torch.ones(4), name="x")
    if step == 20 and hvd.rank() == 1 and "{end}":
        {end}
"""


def test_a_plain_script_runs_unmodified_with_two_slots_on_one_worker(new_job: NewJob) -> None:
    script = ROOT / "examples" / "plain-horovod" / "train.py"
    assert "fairlead" not in script.read_text()
    job = new_job(workers=1, slots=2).start(sys.executable, str(script))
    assert job.wait(90) == [0, 0], job.logs()
    assert "[0] step 200/200 loss" in job.log("worker-0")
    assert "[0] size 2 largest error" in job.log("worker-0")
    assert job.message("launcher") == {"model": None, "progress": None}


def test_the_digits_example_leaves_a_model_and_its_progress(
    new_job: NewJob, dataset: tuple[str, Manifest], tmp_path: Path
) -> None:
    uri = (tmp_path / "models" / "v1").as_uri()
    environment = {
        "FAIRLEAD_DATASET_URI": dataset[0],
        "FAIRLEAD_DATASET_DIGEST": dataset[1].digest,
        "FAIRLEAD_MODEL_URI": uri,
        "FAIRLEAD_MODEL_VERSION": "v1",
    }
    job = new_job(environment=environment)
    job.start(sys.executable, str(ROOT / "examples" / "digits" / "train.py"), "--epochs", "2", "--batch-size", "8")
    assert job.wait(90) == [0, 0, 0], job.logs()
    message = job.message("launcher")
    progress = message["progress"]
    assert (progress["step"], progress["totalSteps"], progress["epoch"], progress["etaSeconds"]) == (8, 8, 2, 0)
    assert set(progress["metrics"]) == {"loss", "evalAccuracy"}
    model = fetch(uri, tmp_path / "model", message["model"]["digest"])
    assert message["model"] == {"uri": uri, "digest": model.digest, "version": "v1"}
    assert model.kind == "model"
    assert model.parents == (Parent("dataset", dataset[1].digest, dataset[0]),)
    assert model.signature is not None
    assert model.signature.to_json() == {
        "inputs": [{"name": "image", "dtype": "FP32", "shape": [-1, 1, 8, 8]}],
        "outputs": [{"name": "logits", "dtype": "FP32", "shape": [-1, 10]}],
    }
    assert model.signature.to_json() == json.loads((tmp_path / "model" / "signature.json").read_text())
    history = json.loads((tmp_path / "model" / "history.json").read_text())
    assert [point["step"] for point in history] == list(range(1, 9))
    assert history[-1]["evalAccuracy"] == progress["metrics"]["evalAccuracy"]


def test_the_worker_that_failed_is_named_not_the_one_that_noticed(new_job: NewJob) -> None:
    job = new_job().start(sys.executable, "-c", ENDLESS.format(end="sys.exit(3)"))
    codes = job.wait(90)
    failure = job.message("launcher")["failure"]
    assert (failure["worker"], failure["rank"], failure["exitCode"]) == (1, 1, 3), job.logs()
    assert codes == [1, 143, 3], job.logs()


def test_a_worker_whose_agent_is_killed_is_named_not_the_one_that_noticed(new_job: NewJob) -> None:
    job = new_job().start(sys.executable, "-c", ENDLESS.format(end="os.kill(os.getppid(), 9)"))
    codes = job.wait(90)
    failure = job.message("launcher")["failure"]
    assert (failure["worker"], failure["reason"]) == (1, "LostWorker"), job.logs()
    assert codes == [1, 143, -signal.SIGKILL], job.logs()
