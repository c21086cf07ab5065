"""What a run was: its tasks with their times, outputs and the end of their logs."""

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Literal

State = Literal["waiting", "running", "succeeded", "failed", "skipped"]
_LINES = 200
"""The last lines of a task's log that are kept."""
_MAX_PAGE = 4 * 1024 * 1024
"""Bytes of an HTML artifact that is shown."""


@dataclass(frozen=True)
class ArtifactRecord:
    """An artifact that a task has written."""

    name: str
    kind: str
    """Its KFP type: Dataset, Model, Metrics, HTML, …"""
    uri: str
    metadata: Mapping[str, Any]
    page: str = ""
    """The content of an HTML artifact."""


@dataclass
class TaskRecord:
    """A task of a run."""

    name: str
    parents: tuple[str, ...] = ()
    """The tasks that it waits for."""
    component: str = ""
    """The component that it runs."""
    state: State = "waiting"
    started: datetime | None = None
    seconds: float | None = None
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LINES))
    """The end of its log."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Its outputs that are values."""
    artifacts: tuple[ArtifactRecord, ...] = ()
    """Its outputs that are artifacts."""


@dataclass
class RunRecord:
    """A run of a pipeline."""

    pipeline: str
    description: str
    parameters: Mapping[str, Any]
    started: datetime
    tasks: dict[str, TaskRecord]
    seconds: float = 0.0
    failure: str = ""
    """Why it has failed; empty if it has succeeded."""


def plan_tasks(spec: Any) -> dict[str, TaskRecord]:
    """Return the tasks of a compiled pipeline (PipelineSpec), each after those that it waits for."""
    tasks = spec.root.dag.tasks
    parents = {name: tuple(sorted(tasks[name].dependent_tasks)) for name in sorted(tasks)}
    return {
        name: TaskRecord(name, parents[name], tasks[name].component_ref.name.removeprefix("comp-"))
        for name in TopologicalSorter(parents).static_order()
    }


def read_outputs(task: TaskRecord, executor_input: Mapping[str, Any]) -> None:
    """Add what a task has written where KFP's executor input says."""
    expected = executor_input.get("outputs", {})
    written = _read_json(Path(expected.get("outputFile", "")))
    task.parameters = dict(written.get("parameterValues", {}))
    known = {name: each["artifacts"][0] for name, each in written.get("artifacts", {}).items() if each["artifacts"]}
    task.artifacts = tuple(
        _read_artifact(name, {**each["artifacts"][0], **known.get(name, {})})
        for name, each in expected.get("artifacts", {}).items()
        if each.get("artifacts")
    )


def _read_artifact(name: str, found: Mapping[str, Any]) -> ArtifactRecord:
    kind = str(found.get("type", {}).get("schemaTitle", "")).removeprefix("system.")
    uri, page = str(found.get("uri", "")), ""
    if kind == "HTML" and (file := Path(uri)).is_file() and file.stat().st_size <= _MAX_PAGE:
        page = file.read_text(errors="replace")
    return ArtifactRecord(name, kind, uri, found.get("metadata", {}), page)


def _read_json(file: Path) -> dict[str, Any]:
    # a task that failed has written nothing
    return dict(json.loads(file.read_text())) if file.is_file() else {}
