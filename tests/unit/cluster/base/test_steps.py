"""Steps of a setup."""

import io
import sys
import threading
from pathlib import Path

import pytest
from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.steps import Step, StepLog, run_steps
from rich.console import Console


def _console() -> Console:
    return Console(file=io.StringIO())


def _output(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_failed_step_shows_the_end_and_the_path_of_its_log(tmp_path: Path) -> None:
    def fail(log: StepLog) -> None:
        log.run([sys.executable, "-c", "print('the reason'); raise SystemExit(3)"])

    with pytest.raises(SetupError) as error:
        run_steps([Step("broken", fail)], tmp_path, _console())
    text = str(error.value)
    assert "broken: " in text and "exited 3" in text and "the reason" in text and str(tmp_path / "broken.log") in text


def test_a_step_whose_dependency_failed_is_skipped(tmp_path: Path) -> None:
    tried = []

    def fail(_: StepLog) -> None:
        raise SetupError("no")

    steps = [Step("first", fail), Step("second", lambda _: tried.append("second"), after=("first",))]
    with pytest.raises(SetupError, match="first: no"):
        run_steps(steps, tmp_path, _console())
    assert tried == [] and steps[1].state == "skipped"


def test_independent_steps_run_concurrently(tmp_path: Path) -> None:
    barrier = threading.Barrier(2, timeout=5)

    def meet(_: StepLog) -> None:
        barrier.wait()

    steps = [Step(name, meet) for name in ("a", "b")]
    run_steps(steps, tmp_path, _console())
    assert [step.state for step in steps] == ["done", "done"]


def test_without_a_terminal_each_change_is_a_line(tmp_path: Path) -> None:
    console = _console()
    run_steps([Step("only", lambda _: None)], tmp_path, console)
    assert _output(console).splitlines() == ["only: running", "only: done 0 s"]


def test_a_program_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no-such-program: cannot be started"):
        StepLog(tmp_path / "log").run(["no-such-program"])
