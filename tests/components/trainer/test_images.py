"""Images that lack what a job needs: the agent says what, and the line that adds it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fairlead_trainer.images import find_problem

from .conftest import Job

NewJob = Callable[..., Job]


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    """A Python without site-packages."""
    script = tmp_path / "bin" / "python3"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    script.chmod(0o755)
    return script


def test_nothing_is_wrong_with_the_python_of_the_trainer(tmp_path: Path) -> None:
    for backend in ("horovod", "torchrun"):
        assert find_problem(backend, [sys.executable, "train.py"]) is None


@pytest.mark.parametrize(
    ("backend", "module", "line"),
    [
        ("horovod", "horovod", "RUN pip install horovod==0.28.1"),
        ("torchrun", "torch", "RUN pip install torch"),
    ],
)
def test_a_missing_framework_is_named_with_the_line_that_adds_it(
    bare_python: Path, backend: str, module: str, line: str
) -> None:
    problem = find_problem(backend, [str(bare_python), "train.py"])
    assert problem is not None
    for part in (f"no module {module!r}", str(bare_python), line):
        assert part in problem


@pytest.mark.parametrize("command", [["sh", "-c", "python3 train.py"], ["./train"], ["/no/such/python3", "x"]])
def test_other_programs_are_started_without_a_check(command: list[str]) -> None:
    assert find_problem("horovod", command) is None


def test_a_python_that_does_not_answer_is_no_problem_of_the_check(tmp_path: Path) -> None:
    broken = tmp_path / "python3"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    assert find_problem("horovod", [str(broken), "train.py"]) is None


def test_the_job_fails_with_what_its_image_lacks_before_the_dataset_is_fetched(
    new_job: NewJob, bare_python: Path
) -> None:
    job = new_job(workers=1, environment={"FAIRLEAD_DATASET_URI": "file:///no/such/dataset"})
    job.start(str(bare_python), "train.py")
    assert job.wait() == [1, 127], job.logs()
    failure = json.loads((job.folder / "launcher.termination").read_bytes())["failure"]
    assert (failure["reason"], failure["exitCode"]) == ("NotStarted", 127)
    assert "no module 'horovod'" in failure["logTail"]
