"""Runs the tasks of kfp.local as processes whose beginning, log and end are seen."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol

from kfp.local import status, subprocess_task_handler

from fairlead_pipelines.runs.records import RunRecord, TaskRecord, read_outputs

_INPUT = "--executor_input"
_EXECUTOR = "[KFP Executor "


class Watcher(Protocol):
    """What wants to know of tasks."""

    def begin(self, task: TaskRecord) -> None:
        """A task begins."""

    def add_line(self, task: TaskRecord, line: str) -> None:
        """A task has logged a line."""

    def end(self, task: TaskRecord) -> None:
        """A task has ended."""


@contextmanager
def watched(run: RunRecord, watcher: Watcher) -> Iterator[None]:
    """Record the tasks that kfp.local runs during the block."""
    # KFP chooses the handler by the runner's type and has no other place where one could look on
    original = subprocess_task_handler.SubprocessTaskHandler
    subprocess_task_handler.SubprocessTaskHandler = type("Handler", (_Handler,), {"record": run, "watcher": watcher})
    try:
        yield
    finally:
        subprocess_task_handler.SubprocessTaskHandler = original


class _Handler(subprocess_task_handler.SubprocessTaskHandler):  # type: ignore[misc] # KFP is untyped
    """Runs one task."""

    record: ClassVar[RunRecord]
    watcher: ClassVar[Watcher]

    def run(self) -> status.Status:
        """Run the task and return its status."""
        executor_input = _read_input(self.full_command)
        task = self._find_task(executor_input)
        task.state, task.started, began = "running", datetime.now(UTC), time.monotonic()
        self.watcher.begin(task)
        task.state = "succeeded" if self._run(task) == 0 else "failed"
        task.seconds = time.monotonic() - began
        if task.state == "succeeded":
            read_outputs(task, executor_input)
        self.watcher.end(task)
        return status.Status.SUCCESS if task.state == "succeeded" else status.Status.FAILURE

    def _find_task(self, executor_input: dict[str, Any]) -> TaskRecord:
        """Return the record of the task; one of a nested pipeline, or one that is tried again, may get a new one."""
        folder = Path(executor_input["outputs"]["outputFile"]).parent.name
        waiting = [task for task in self.record.tasks.values() if task.state == "waiting"]
        for task in waiting:
            if task.name == folder or task.component == folder:
                return task
        known = sum(task.name.split(" ")[0] == folder for task in self.record.tasks.values())
        name = f"{folder} ({known + 1})" if known else folder
        return self.record.tasks.setdefault(name, TaskRecord(name))

    def _run(self, task: TaskRecord) -> int:
        command = subprocess_task_handler.replace_python_executable(self.full_command, sys.executable)
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            env={**os.environ, **self.env_vars},
        ) as process:  # fmt: skip
            assert process.stdout
            for line in _own_lines(process.stdout):
                task.lines.append(line)
                self.watcher.add_line(task, line)
        return process.returncode


def _own_lines(lines: Iterable[str]) -> Iterator[str]:
    """Return a task's lines without those in which KFP's executor repeats its input."""
    repeated = False
    for line in map(str.rstrip, lines):
        if line.startswith(_EXECUTOR):
            repeated = line.endswith("Got executor_input:")
        elif repeated:
            repeated = line != "}"
        else:
            yield line


def _read_input(command: list[str]) -> dict[str, Any]:
    return dict(json.loads(command[command.index(_INPUT) + 1]))
