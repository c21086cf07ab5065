"""Elastic torchrun runs: workers are killed, started again, fail, and are asked to leave, while the others go on."""

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from .conftest import ROOT, Job
from .test_elastic_jobs import END, START, finish, reached, training_process

NewJob = Callable[..., Job]
SCRIPT = ROOT / "examples" / "elastic-torchrun" / "train.py"


def start(new_job: NewJob, workers: int, least: int, most: int, script: str | None = None, **environment: str) -> Job:
    """Start an elastic job of the example, or of another script."""
    assert "fairlead" not in SCRIPT.read_text()
    bounds = {"FAIRLEAD_MIN_WORKERS": str(least), "FAIRLEAD_MAX_WORKERS": str(most), "FAIRLEAD_BACKEND": "torchrun"}
    job = new_job(workers=workers, environment=bounds | environment)
    job.start_launcher()
    for worker in range(workers):
        add(job, worker, script)
    return job


def add(job: Job, worker: int, script: str | None = None) -> None:
    """Start a worker, perhaps again, with a snapshot of its own."""
    command = [str(SCRIPT)] if script is None else ["-c", script]
    job.start_agent(worker, sys.executable, *command, SNAPSHOT=str(job.folder / f"snapshot-{worker}.pt"))


def epochs(job: Job) -> list[list[int]]:
    """Return the workers of each epoch."""
    found = re.findall(r"epoch=\d+ begins with workers (.*)", job.log("launcher"))
    return [[int(name.partition("=")[0]) for name in members.split()] for members in found]


def test_a_killed_worker_costs_the_steps_since_the_last_snapshot_and_its_successor_joins(new_job: NewJob) -> None:
    job = start(new_job, 3, 2, 3, STEPS="400", PAUSE="0.05")
    job.until(lambda: reached(job, 30, 3), START)
    job.agents[1].send_signal(signal.SIGKILL)
    job.until(lambda: len(epochs(job)) == 2, START)
    (job.folder / "snapshot-1.pt").unlink()
    add(job, 1)
    assert finish(job, add) == 0, job.logs()
    assert epochs(job) == [[0, 1, 2], [0, 2], [0, 2, 1]], job.logs()
    assert reached(job, 400, 3)
    begun = [int(step) for step in re.findall(r"begins after step (\d+)", job.log("worker-0"))]
    assert begun == sorted(set(begun))
    assert begun[1] >= 30


def test_the_worker_with_rank_0_may_be_lost(new_job: NewJob) -> None:
    job = start(new_job, 2, 1, 2, STEPS="200", PAUSE="0.05")
    job.until(lambda: reached(job, 30, 2), START)
    job.agents[0].send_signal(signal.SIGKILL)
    assert job.wait(END) == [0, -9, 0], job.logs()
    assert "step 200/200 size 1" in job.log("worker-1")


def test_a_worker_whose_process_is_killed_is_lost_and_not_the_one_that_noticed(new_job: NewJob) -> None:
    job = start(new_job, 2, 1, 2, STEPS="200", PAUSE="0.05")
    job.until(lambda: reached(job, 30, 2), START)
    os.kill(training_process(job, 1), signal.SIGKILL)
    assert job.wait(END) == [0, 0, 137], job.logs()
    assert epochs(job) == [[0, 1], [0]], job.logs()
    assert job.message("worker-1")["failure"]["signal"] == 9


def test_a_stopped_worker_leaves_and_the_other_goes_on_from_the_snapshot(new_job: NewJob) -> None:
    job = start(new_job, 2, 1, 2, STEPS="200", PAUSE="0.05")
    job.until(lambda: reached(job, 30, 2), START)
    job.agents[1].send_signal(signal.SIGTERM)
    assert job.wait(END) == [0, 0, 143], job.logs()
    assert epochs(job) == [[0, 1], [0]], job.logs()
    assert reached(job, 200, 1)
    assert "lost worker" not in job.log("launcher")


def test_a_job_grows(new_job: NewJob) -> None:
    job = start(new_job, 1, 1, 2, STEPS="300", PAUSE="0.05")
    job.until(lambda: reached(job, 20, 1), START)
    add(job, 1)
    job.until(lambda: reached(job, 30, 2), START)
    assert job.wait(END) == [0, 0, 0], job.logs()


SURVIVOR = """
import os, sys, time, torch, torch.distributed as dist
dist.init_process_group("gloo")
restart = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
print("at work", restart, flush=True)
for step in range(10**9 if restart == 0 else 20):
    try:
        dist.all_reduce(torch.ones(4))
    except RuntimeError:
        print("gone", flush=True)
        os._exit(7)
    time.sleep(0.05)
"""


def test_a_survivor_that_says_nothing_of_its_peer_goes_on_too(new_job: NewJob) -> None:
    job = start(new_job, 2, 1, 2, script=SURVIVOR)
    job.until(lambda: "at work 0" in job.log("worker-0") and "at work 0" in job.log("worker-1"), START)
    job.agents[1].send_signal(signal.SIGKILL)
    assert job.wait(END) == [0, 0, -9], job.logs()
    assert "[0] gone" in job.log("worker-0")


def test_a_script_with_an_error_fails_the_run_with_its_cause(new_job: NewJob) -> None:
    script = "import torch.distributed as dist\ndist.init_process_group('gloo')\nraise ValueError('no such label')"
    job = start(new_job, 2, 1, 2, script=script)
    codes = job.wait(END)
    failure = job.message("launcher")["failure"]
    assert (codes, failure["reason"], failure["exitCode"]) == ([1, 1, 1], "Exited", 1), job.logs()
    assert "no such label" in failure["logTail"]


def test_a_failure_that_the_launcher_could_not_answer_is_the_workers_own(new_job: NewJob, tmp_path: Path) -> None:
    # the launcher ends as soon as it knows why the run has failed, perhaps before the worker asks again
    go = "import pathlib, time\nprint('at work', flush=True)\nwhile not pathlib.Path(FILE).exists(): time.sleep(0.01)\n"
    script = go.replace("FILE", repr(str(tmp_path / "go"))) + "raise ValueError('no such label')"
    job = start(new_job, 1, 1, 2, script=script)
    job.until(lambda: "at work" in job.log("worker-0"), START)
    assert job.launcher is not None
    job.launcher.send_signal(signal.SIGKILL)
    (tmp_path / "go").touch()
    assert job.wait(END) == [-9, 1], job.logs()
    failure = job.message("worker-0")["failure"]
    assert (failure["reason"], failure["exitCode"]) == ("Exited", 1)
    assert "no such label" in failure["logTail"]


def test_rank_0_of_the_last_epoch_publishes_the_model(new_job: NewJob, tmp_path: Path) -> None:
    script = SCRIPT.read_text() + (
        "if rank == 0:\n"
        "    folder = os.environ['FAIRLEAD_MODEL_DIR']\n"
        "    torch.save(model.state_dict(), folder + '/model.pt')\n"
    )
    model = {"FAIRLEAD_MODEL_URI": (tmp_path / "models").as_uri(), "FAIRLEAD_MODEL_VERSION": "v1"}
    job = start(new_job, 2, 1, 2, script, STEPS="150", PAUSE="0.05", **model)
    job.until(lambda: reached(job, 30, 2), START)
    job.agents[0].send_signal(signal.SIGTERM)
    assert job.wait(END) == [0, 143, 0], job.logs()
    assert job.message("launcher")["model"]["version"] == "v1"


CHECKPOINTED = """
import time, torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from fairlead_trainer import Progress
from fairlead_trainer.checkpoint import Checkpoints
dist.init_process_group("gloo")
torch.set_num_threads(1)
model = DistributedDataParallel(torch.nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
progress = Progress(total_steps=60, min_interval=0)
checkpoints = Checkpoints(model, optimizer, progress=progress)
for step in range(checkpoints.restore() + 1, 61):
    optimizer.zero_grad()
    model(torch.ones(4, 8)).pow(2).mean().backward()
    optimizer.step()
    checkpoints.update(step)
    progress.update(step)
    print(f"step {step}/60 size {dist.get_world_size()}", flush=True)
    time.sleep(0.2)
checkpoints.close()
dist.destroy_process_group()
"""


def test_checkpoints_in_a_store_serve_whoever_is_left(new_job: NewJob, tmp_path: Path) -> None:
    variables = {"FAIRLEAD_CHECKPOINT_URI": (tmp_path / "checkpoints").as_uri(), "FAIRLEAD_CHECKPOINT_STEPS": "5"}
    job = start(new_job, 2, 1, 2, CHECKPOINTED, **variables)
    job.until(lambda: (tmp_path / "checkpoints" / "step-000000010" / "manifest.json").exists(), START)
    job.agents[0].send_signal(signal.SIGKILL)
    job.until(lambda: (job.status().get("progress") or {}).get("resumedFromStep") is not None, START)
    status = job.status()
    assert job.wait(END) == [0, -9, 0], job.logs()
    resumed = status["progress"]["resumedFromStep"]
    assert resumed >= 10
    assert resumed % 5 == 0
    assert (status["elastic"]["epoch"], status["elastic"]["lostWorkers"]) == (1, 1)
    trained = max(int(step) for step in re.findall(r"step (\d+)/60 size 2", job.log("worker-0")))
    assert 0 <= status["elastic"]["lostSteps"] <= trained - resumed
    assert "step 60/60 size 1" in job.log("worker-1")
