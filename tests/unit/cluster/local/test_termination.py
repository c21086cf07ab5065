"""The termination message of a process, whatever the process left in place of the file."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fairlead_cluster.local.node.context import Machine, PodContext
from fairlead_cluster.local.node.images import Images
from fairlead_cluster.local.node.launch import make_termination_file, termination_file
from fairlead_cluster.local.node.process import Run

CONTAINER = {"name": "main"}
LEFT: dict[str, Callable[[Path], Any]] = {
    "nothing": lambda path: None,
    "a named pipe": os.mkfifo,
    "a folder": lambda path: (path / "sub").mkdir(parents=True),
    "a link": lambda path: path.symlink_to("/dev/full"),
}


@pytest.fixture(params=LEFT)
def file(request: pytest.FixtureRequest, context: PodContext) -> Path:
    """Return the termination file's path, where the process left something else."""
    path = termination_file(context, CONTAINER)
    path.unlink()
    LEFT[request.param](path)
    return path


@pytest.fixture
def context(tmp_path: Path) -> PodContext:
    """Return a pod whose container has run."""
    machine = Machine(Images(tmp_path, {}), tmp_path, tmp_path / "hosts")

    async def load_sources() -> Any:
        raise AssertionError("not used")

    context = PodContext({}, tmp_path / "pod", machine, load_sources, lambda: None, lambda *_: None)
    folder = context.container_folder("main") / "runs" / "0"
    folder.mkdir(parents=True)
    record = {"exitCode": 3, "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z"}
    (folder / "exit.json").write_text(json.dumps(record))
    (folder / "log").write_text("the last line\n")
    make_termination_file(context, CONTAINER)
    return context


def test_what_a_process_left_in_place_of_the_file_is_no_message(context: PodContext, file: Path) -> None:
    run = Run(context.container_folder("main"), 0)
    assert "message" not in run.terminated(file, "File")
    assert run.terminated(file, "FallbackToLogsOnError")["message"] == "the last line"


def test_the_next_run_gets_an_empty_file(context: PodContext, file: Path) -> None:
    make_termination_file(context, CONTAINER)
    assert file.is_file()
    assert not file.is_symlink()
    file.write_text("done")
    assert Run(context.container_folder("main"), 0).terminated(file, "File")["message"] == "done"
