"""Progress files: written by scripts, validated when they are read."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fairlead_trainer import Progress
from fairlead_trainer.progress import read_progress


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "progress.json"
    monkeypatch.setenv("FAIRLEAD_PROGRESS_FILE", str(path))
    return path


def test_the_first_and_the_last_step_are_written_others_at_a_limited_rate(file: Path) -> None:
    progress = Progress(total_steps=1000)
    written = []
    for step in range(1, 1001):
        progress.update(step, samples=8, epoch=1, loss=1 / step)
        written.append(json.loads(file.read_text())["step"])
    assert written[0] == 1
    assert written[-1] == 1000
    assert len(set(written)) < 20
    last = read_progress(file)
    assert last is not None
    assert (last.total_steps, last.epoch, last.metrics) == (1000, 1, {"loss": 0.001})
    assert last.samples_per_second is not None
    assert last.samples_per_second > 0


def test_outside_a_job_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAIRLEAD_PROGRESS_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    Progress(10).update(1, loss=1.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"step": "1"}', '{"step": -1}', '{"metrics": {}}'])
def test_invalid_progress_is_none(file: Path, content: str) -> None:
    file.write_text(content)
    assert read_progress(file) is None


def test_a_pipe_in_place_of_the_progress_is_not_waited_for(file: Path) -> None:
    os.mkfifo(file)
    assert read_progress(file) is None


def test_only_known_fields_of_their_types_are_kept(file: Path) -> None:
    metrics: dict[str, object] = {"loss": 0.5, "bad": "x", "infinite": float("inf"), "nan": float("nan"), "x" * 99: 1}
    file.write_text(json.dumps({"step": 3, "totalSteps": "9", "epoch": 1.5, "extra": 1, "metrics": metrics}))
    progress = read_progress(file)
    assert progress is not None
    assert progress.to_json() == {"step": 3, "metrics": {"loss": 0.5, "x" * 64: 1}}


def test_many_metrics_are_cut_so_that_the_message_fits(file: Path) -> None:
    file.write_text(json.dumps({"step": 3, "metrics": {f"m{index}": index for index in range(500)}}))
    progress = read_progress(file)
    assert progress is not None
    assert len(progress.metrics) == 20


def test_a_script_that_goes_on_from_an_earlier_step_says_at_once_how_many_it_repeats(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRLEAD_PROGRESS_FILE", str(file))
    progress, said = Progress(total_steps=90, min_interval=1000), []
    for step in (1, 57, 50, 51, 53, 50):
        progress.update(step)
        report = read_progress(file)
        assert report is not None
        said.append((report.step, report.repeated_steps))
    assert said == [(1, None), (1, None), (50, 7), (50, 7), (50, 7), (50, 10)]


FULL_DISK = """
import resource, signal, sys
from fairlead_trainer import Progress, report_parameters
from fairlead_trainer.progress import ActivityFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
progress = Progress(3, min_interval=0)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, unlimited[1]))
report_parameters({"rate": 0.1})
ActivityFile().write("the checkpoint of step 1 is not saved")
progress.update(1)
progress.update(2)
resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
progress.update(3)
"""


def test_a_training_goes_on_though_its_progress_cannot_be_written(file: Path, tmp_path: Path) -> None:
    parameters = {"FAIRLEAD_PARAMETERS_FILE": str(tmp_path / "parameters.json")}
    argv = [sys.executable, "-c", FULL_DISK]
    ran = subprocess.run(argv, env=os.environ | parameters, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    # once for each file
    assert ran.stderr.splitlines() == [
        f"{name} cannot be written, the training goes on: File too large"
        for name in ("parameters.json", "activity.txt", "progress.json")
    ]
    assert json.loads(file.read_text())["step"] == 3
