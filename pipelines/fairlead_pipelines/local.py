"""The subcommand `run`: run a compiled pipeline with kfp.local, its tasks as processes on this machine."""

import argparse
import contextlib
import io
import json
import os
import re
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kfp import components, dsl, local

from fairlead_pipelines.components import FOLDER
from fairlead_pipelines.runs.page import build_page
from fairlead_pipelines.runs.progress import TerminalProgress
from fairlead_pipelines.runs.records import RunRecord, plan_tasks
from fairlead_pipelines.runs.watching import watched

_IMAGE = re.compile(r"(?:.*/)?fairlead/([a-z0-9-]+):[^/]*")
"""The images of Fairlead's components, each of which has a command of its name."""
_COLOR = re.compile(r"\x1b\[\d+m")
_Read = Callable[[str], Any]
_READERS: dict[str, _Read] = {"STRING": str, "NUMBER_INTEGER": int, "NUMBER_DOUBLE": float}


def run_local(words: list[str]) -> int:
    """Run a pipeline with parameters from flags; print its outputs as the last line, in JSON."""
    file = Path(words.pop(0)) if words and not words[0].startswith("-") else FOLDER / "digits.yaml"
    if not file.is_file():
        sys.exit(f"fairlead-pipelines: {file}: no such file, expected a compiled pipeline")
    started = datetime.now(UTC)
    pipeline = _load(file.read_text(), started)
    options = vars(_parser(pipeline).parse_args(words))
    parameters = {name: options[name] for name in _inputs(pipeline) if options[name] is not None}
    _make_commands_visible(pipeline)
    tasks = plan_tasks(pipeline.pipeline_spec)
    run = RunRecord(pipeline.name, pipeline.description or "", parameters, started, tasks)
    outputs = _run(pipeline, run)
    report = options["report"] or Path(f"{pipeline.name}-run.html")
    report.write_text(build_page(run))
    sys.stderr.write(f"report: {report}\n")
    if run.failure:
        sys.stderr.write(f"fairlead-pipelines: {run.failure}\n")
        return 1
    sys.stdout.write(f"{json.dumps(outputs)}\n")
    if options["out"]:
        options["out"].write_text(json.dumps(outputs))
    return 0


def _load(text: str, started: datetime) -> Any:
    """Load a pipeline, and give its run a name, like Kubeflow Pipelines; kfp.local knows only its ID."""
    name = f"{components.load_component_from_text(text).name}-{started:%Y%m%d-%H%M%S}"
    return components.load_component_from_text(text.replace(dsl.PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER, name))


def _run(pipeline: Any, run: RunRecord) -> dict[str, Any]:
    """Run a pipeline, record how it went, and return its outputs."""
    began, outputs = time.monotonic(), {}
    with tempfile.TemporaryDirectory() as folder, TerminalProgress(run) as shown, _quiet(), watched(run, shown):
        local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=folder, raise_on_error=True)
        try:
            outputs = dict(pipeline(**run.parameters).outputs)
        except RuntimeError as error:  # kfp.local raises it if a task failed
            run.failure = _COLOR.sub("", str(error))
        except KeyboardInterrupt:
            run.failure = "The run was interrupted."
    run.seconds = time.monotonic() - began
    for task in run.tasks.values():
        task.state = {"waiting": "skipped", "running": "failed"}.get(task.state, task.state)  # type: ignore[assignment]
    return outputs


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drop what kfp.local says of its tasks, and its warning that they are not isolated: each has its environment."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def _inputs(pipeline: Any) -> dict[str, Any]:
    return dict(pipeline.pipeline_spec.root.input_definitions.parameters)


def _parser(pipeline: Any) -> argparse.ArgumentParser:
    """Return a parser with a flag for each parameter of the pipeline; lists and dictionaries are passed as JSON."""
    parser = argparse.ArgumentParser(prog=f"fairlead-pipelines run {pipeline.name}", description=pipeline.description)
    parser.add_argument("--out", type=Path, help="write the outputs to this file, as JSON")
    parser.add_argument(
        "--report", type=Path, help=f"write the report to this file (default: {pipeline.name}-run.html)"
    )
    for name, spec in sorted(_inputs(pipeline).items()):
        kind = type(spec).DESCRIPTOR.fields_by_name["parameter_type"].enum_type.values_by_number[spec.parameter_type]
        flag, read = f"--{name.replace('_', '-')}", _READERS.get(kind.name, json.loads)
        parser.add_argument(flag, type=read, required=not spec.is_optional, help=spec.description.replace("%", "%%"))
    return parser


def _make_commands_visible(pipeline: Any) -> None:
    """Add this environment's own command to PATH, and check that those of the pipeline's components are on it."""
    os.environ["PATH"] = f"{os.environ['PATH']}{os.pathsep}{Path(sys.executable).parent}"
    executors = pipeline.pipeline_spec.deployment_spec["executors"].values()
    images = [_IMAGE.fullmatch(executor["container"]["image"]) for executor in executors]
    commands = sorted({f"fairlead-{image[1]}" for image in images if image})
    if missing := [name for name in commands if not shutil.which(name)]:
        sys.exit(f"fairlead-pipelines: {', '.join(missing)}: not on PATH; add the `bin` of FAIRLEAD_HOME to it")
