"""TensorBoard's logs of a job are published with its model."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from fairlead_artifacts import fetch

from .conftest import Job

NewJob = Callable[..., Job]
PYTHON = Path(os.environ.get("FAIRLEAD_HOME", Path.home() / ".fairlead"), "envs", "tracking", "bin", "python")
WRITE = """
import os
from tensorboardX import SummaryWriter

with SummaryWriter(os.environ["FAIRLEAD_TENSORBOARD_DIR"]) as writer:
    for step in range(1, 6):
        writer.add_scalar("loss", 1 / step, step)
if {model}:
    open(os.path.join(os.environ["FAIRLEAD_MODEL_DIR"], "weights"), "w").write("w")
"""
READ = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator(sys.argv[1])
events.Reload()
print(json.dumps([[event.step, event.value] for event in events.Scalars("loss")]))
"""


def start(new_job: NewJob, uri: str | None, *, model: bool = True) -> Job:
    assert PYTHON.exists(), f"{PYTHON} is missing: set up the environment `tracking`"
    environment = {"FAIRLEAD_MODEL_URI": uri, "FAIRLEAD_MODEL_VERSION": "v1"} if uri else {}
    # a shell, because the agent looks for the framework in the Python that runs a script
    return new_job(environment=environment).start(
        "sh", "-c", 'exec "$0" "$@"', str(PYTHON), "-c", WRITE.format(model=model)
    )


def test_event_files_are_published_with_the_model_and_can_be_read(new_job: NewJob, tmp_path: Path) -> None:
    uri = (tmp_path / "models" / "v1").as_uri()
    job = start(new_job, uri)
    assert job.wait(90) == [0, 0, 0], job.logs()
    model = fetch(uri, tmp_path / "model", job.message("launcher")["model"]["digest"])
    logs = [entry.path for entry in model.files if entry.path.startswith("tensorboard/")]
    assert len(logs) == 1, "those of rank 0 alone"
    assert sorted(entry.path for entry in model.files) == [*logs, "weights"]
    read = subprocess.run([str(PYTHON), "-c", READ, str(tmp_path / "model" / "tensorboard")],
                          capture_output=True, check=True, timeout=300)  # fmt: skip
    values = json.loads(read.stdout)
    assert [step for step, _ in values] == [1, 2, 3, 4, 5]
    assert [value for _, value in values] == pytest.approx([1 / step for step in range(1, 6)])


def test_logs_alone_are_no_model(new_job: NewJob, tmp_path: Path) -> None:
    job = start(new_job, (tmp_path / "models" / "v1").as_uri(), model=False)
    assert job.wait(90)[0] == 1, job.logs()
    assert "FAIRLEAD_MODEL_DIR: got no file" in job.message("launcher")["failure"]["logTail"]


def test_a_job_without_a_model_has_no_folder_for_logs(new_job: NewJob) -> None:
    job = start(new_job, None)
    assert job.wait(90)[0] == 1, job.logs()
    assert "KeyError: 'FAIRLEAD_TENSORBOARD_DIR'" in job.logs()
