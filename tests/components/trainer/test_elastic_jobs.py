"""Elastic Horovod runs: workers are killed, started again, and asked to leave, while the others go on."""

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from .conftest import ROOT, Job

NewJob = Callable[..., Job]
SCRIPT = ROOT / "examples" / "elastic-horovod" / "train.py"
START, END = 300, 400
"""Seconds within which processes start and a job ends, on a machine that does much else."""


def start(new_job: NewJob, workers: int, least: int, most: int, **environment: str) -> Job:
    """Start an elastic job of the example."""
    assert "fairlead" not in SCRIPT.read_text()
    bounds = {"FAIRLEAD_MIN_WORKERS": str(least), "FAIRLEAD_MAX_WORKERS": str(most)}
    job = new_job(workers=workers, environment=bounds | environment)
    return job.start(sys.executable, str(SCRIPT))


def start_slowly(new_job: NewJob, workers: int, least: int, most: int) -> Job:
    """Start an elastic job of the example that trains slowly until `hurry` is called: newcomers need time to import."""
    bounds = {"FAIRLEAD_MIN_WORKERS": str(least), "FAIRLEAD_MAX_WORKERS": str(most)}
    job = new_job(workers=workers, environment=bounds | {"STEPS": "1000", "PAUSE": "0.2"})
    text, pause = SCRIPT.read_text(), "time.sleep(PAUSE)"
    assert text.count(pause) == 1
    script = job.folder / "train.py"
    script.write_text(text.replace(pause, f"os.path.exists({str(job.folder / 'hurry')!r}) or {pause}"))
    return job.start(sys.executable, str(script))


def hurry(job: Job) -> None:
    """Let a job that was started slowly train as fast as it can."""
    (job.folder / "hurry").touch()


def reached(job: Job, step: int, size: int | None = None) -> bool:
    """Return whether any worker that held rank 0 has reported a step, with this number of processes."""
    found = re.findall(r"step (\d+)/\d+ size (\d+)", job.logs())
    return any(int(done) >= step and size in (None, int(many)) for done, many in found)


def training_process(job: Job, worker: int) -> int:
    """Return the process ID of a worker's training process."""
    for pid in job.processes():
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if f"FAIRLEAD_WORKER_INDEX={worker}".encode() in variables and pid != job.agents[worker].pid:
            return pid
    raise AssertionError(f"worker {worker} has no training process; logs: {job.logs()}")


def add(job: Job, worker: int) -> None:
    """Start a worker, perhaps again."""
    slow = job.folder / "train.py"
    job.start_agent(worker, sys.executable, str(slow if slow.exists() else SCRIPT))


def replace_lost(job: Job, add: Callable[[Job, int], None] = add) -> None:
    """Start the workers again that have ended, as the operator does: Horovod may hang in some after a loss."""
    assert job.launcher is not None
    for worker, agent in job.agents.items():
        if agent.poll() is not None and job.launcher.poll() is None:
            add(job, worker)


def finish(job: Job, add: Callable[[Job, int], None] = add) -> int:
    """Replace workers until the launcher ends; return its exit code."""

    def ended() -> bool:
        if job.status()["phase"] in (None, "Running", "Waiting") and not any(
            agent.poll() == 0 for agent in job.agents.values()
        ):
            replace_lost(job, add)
        return job.launcher is not None and job.launcher.poll() is not None

    job.until(ended, END)
    return job.wait(END)[0]


def test_the_worker_with_rank_0_may_be_lost(new_job: NewJob) -> None:
    job = start(new_job, 2, 1, 2, STEPS="200", PAUSE="0.05")
    job.until(lambda: reached(job, 30, 2), START)
    job.agents[0].send_signal(signal.SIGKILL)
    assert job.wait(END) == [0, -9, 0], job.logs()
    assert "step 200/200 size 1" in job.log("worker-1")


def test_a_stopped_worker_leaves_after_the_next_commit_and_nothing_is_lost(new_job: NewJob) -> None:
    job = start(new_job, 3, 1, 3, STEPS="200", PAUSE="0.05")
    job.until(lambda: reached(job, 30, 3), START)
    job.agents[2].send_signal(signal.SIGTERM)
    assert job.wait(END) == [0, 0, 0, 143], job.logs()
    assert reached(job, 200, 2)
    assert "another epoch waits" in job.log("launcher")
    steps = [int(step) for step in re.findall(r"step (\d+)/200", job.log("worker-0"))]
    # the commit at which it leaves is not printed, and no step is done again
    assert len(steps) >= 19
    assert steps == sorted(set(steps))


def test_a_survivor_that_hangs_holds_up_nobody_and_is_stopped_at_the_end(new_job: NewJob) -> None:
    job = start(new_job, 3, 1, 3, STEPS="150", PAUSE="0.05", FAIRLEAD_LEAVE_SECONDS="120")
    job.until(lambda: reached(job, 30, 3), START)
    os.kill(training_process(job, 2), signal.SIGSTOP)
    job.agents[1].send_signal(signal.SIGKILL)
    assert job.wait(END) == [0, 0, -9, 143], job.logs()
    assert reached(job, 150, 1)
    assert "lost worker 2" not in job.log("launcher")


def test_a_killed_worker_costs_the_steps_since_the_last_commit_and_its_successor_joins(new_job: NewJob) -> None:
    job = start_slowly(new_job, 4, 1, 4)
    job.until(lambda: reached(job, 30, 4), START)
    job.agents[2].send_signal(signal.SIGKILL)
    job.until(lambda: bool(re.search(r"epoch=\d+ begins with workers (?!.*2=)", job.log("launcher"))), START)
    job.until(lambda: reached(job, 60, 3), START)
    add(job, 2)
    job.until(lambda: reached(job, 70, 4), START)
    hurry(job)
    assert job.wait(END) == [0, 0, 0, 0, 0], job.logs()
    # no survivor is replaced
    assert re.findall(r"lost worker (\d)", job.log("launcher")) == ["2"], job.logs()
    steps = [int(step) for step in re.findall(r"step (\d+)/1000", job.logs())]
    assert len(steps) - len(set(steps)) <= 1, "more was done again than the steps since the last commit"


def test_a_loss_after_the_training_of_rank_0_has_ended_fails_the_run(new_job: NewJob, tmp_path: Path) -> None:
    script = (
        "import os, time, horovod.torch as hvd\n"
        "hvd.init()\n"
        "if hvd.rank() == 1:\n"
        "    print('still at work', flush=True)\n"
        "    time.sleep(600)\n"
        "print('has ended', flush=True)\n"
        "os._exit(0)\n"
    )
    model = {"FAIRLEAD_MODEL_URI": (tmp_path / "models").as_uri(), "FAIRLEAD_MODEL_VERSION": "v1"}
    bounds = {"FAIRLEAD_MIN_WORKERS": "1", "FAIRLEAD_MAX_WORKERS": "2"}
    job = new_job(environment=bounds | model).start(sys.executable, "-c", script)
    job.until(lambda: "[0] has ended" in job.log("worker-0") and "[1] still at work" in job.log("worker-1"), START)
    job.agents[1].send_signal(signal.SIGKILL)
    assert job.wait(END) == [1, 143, -9], job.logs()
    assert job.message("launcher")["failure"]["worker"] == 1
    assert not (tmp_path / "models").exists()


def test_a_worker_that_is_stopped_while_its_last_steps_run_ends_with_the_others(new_job: NewJob) -> None:
    script = "import time, horovod.torch as hvd\nhvd.init()\nprint('at work', flush=True)\ntime.sleep(5)\n"
    job = new_job(environment={"FAIRLEAD_MIN_WORKERS": "1", "FAIRLEAD_MAX_WORKERS": "2"})
    job.start(sys.executable, "-c", script)
    job.until(lambda: "[1] at work" in job.log("worker-1"), START)
    job.agents[1].send_signal(signal.SIGTERM)
    assert job.wait(END) == [0, 0, 0], job.logs()


def test_the_holder_of_rank_0_publishes_the_model_even_if_it_began_with_another_rank(
    new_job: NewJob, tmp_path: Path
) -> None:
    script = SCRIPT.read_text() + (
        "if hvd.rank() == 0:\n"
        "    folder = os.environ['FAIRLEAD_MODEL_DIR']\n"
        "    torch.save(model.state_dict(), folder + '/model.pt')\n"
    )
    file = tmp_path / "train.py"
    file.write_text(script)
    model = {"FAIRLEAD_MODEL_URI": (tmp_path / "models").as_uri(), "FAIRLEAD_MODEL_VERSION": "v1"}
    bounds = {"FAIRLEAD_MIN_WORKERS": "1", "FAIRLEAD_MAX_WORKERS": "2", "STEPS": "150", "PAUSE": "0.05"}
    job = new_job(environment=bounds | model).start(sys.executable, str(file))
    job.until(lambda: reached(job, 30, 2), START)
    job.agents[0].send_signal(signal.SIGTERM)
    assert job.wait(END) == [0, 143, 0], job.logs()
    assert job.message("launcher")["model"]["version"] == "v1"


def test_a_job_grows_to_its_largest_size(new_job: NewJob) -> None:
    job = start_slowly(new_job, 1, 1, 2)
    job.until(lambda: reached(job, 20, 1), START)
    add(job, 1)
    job.until(lambda: reached(job, 30, 2), START)
    hurry(job)
    assert job.wait(END) == [0, 0, 0], job.logs()


def test_with_too_few_workers_the_job_waits_for_another(new_job: NewJob) -> None:
    job = start(new_job, 2, 2, 3, STEPS="200", PAUSE="0.05")
    job.until(lambda: reached(job, 30, 2), START)
    job.agents[1].send_signal(signal.SIGKILL)
    job.until(lambda: job.status().get("workers", {}).get("ready") == 1, START)
    assert finish(job) == 0, job.logs()
    assert reached(job, 200, 2)


def test_a_job_that_loses_all_workers_fails_with_the_cause(new_job: NewJob) -> None:
    job = new_job(environment={"FAIRLEAD_MIN_WORKERS": "1", "FAIRLEAD_MAX_WORKERS": "2"})
    job.start(sys.executable, "-c", "import horovod.torch as hvd; hvd.init(); raise SystemExit(3)")
    codes = job.wait(END)
    failure = job.message("launcher")["failure"]
    assert (codes[0], failure["reason"], failure["exitCode"]) == (1, "Exited", 3), job.logs()


def test_contradictory_bounds_are_rejected(new_job: NewJob) -> None:
    job = new_job(environment={"FAIRLEAD_MIN_WORKERS": "3", "FAIRLEAD_MAX_WORKERS": "4"})
    job.start_launcher()
    assert job.wait(30) == [2]
    assert "FAIRLEAD_WORKERS: got 2, expected at least 3" in job.log("launcher")
