"""The subcommand `run-local`: run a compiled pipeline with kfp.local, its tasks as processes on this machine."""

import argparse
import json
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kfp import components, local

from fairlead_pipelines.components import FOLDER

COMMANDS = (
    "fairlead-pipelines", "fairlead-data-validation", "fairlead-onnx-converter", "fairlead-evaluation",
    "fairlead-feature-store",
)  # fmt: skip
_Read = Callable[[str], Any]
_READERS: dict[str, _Read] = {"STRING": str, "NUMBER_INTEGER": int, "NUMBER_DOUBLE": float}


def run_local(words: list[str]) -> int:
    """Run a pipeline with parameters from flags; print its outputs as the last line, in JSON."""
    chosen = argparse.ArgumentParser(prog="fairlead-pipelines run-local", add_help=False)
    chosen.add_argument("--pipeline", type=Path, default=FOLDER / "digits.yaml", help="a compiled pipeline")
    chosen.add_argument("--out", type=Path, help="write the outputs to this file, as JSON")
    options, rest = chosen.parse_known_args(words)
    pipeline = components.load_component_from_file(str(options.pipeline))
    parameters = vars(_parser(chosen, pipeline).parse_args(rest))
    parameters = {name: value for name, value in parameters.items() if name in _inputs(pipeline) and value is not None}
    _make_commands_visible(options.pipeline.read_text())
    try:
        outputs = _run(pipeline, parameters)
    except RuntimeError as error:  # kfp.local raises it if a task failed
        sys.stderr.write(f"fairlead-pipelines: {error}\n")
        return 1
    sys.stdout.write(f"{json.dumps(outputs)}\n")
    if options.out:
        options.out.write_text(json.dumps(outputs))
    return 0


def _run(pipeline: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The warning is about missing isolation, but every task runs its own command in its own environment.
        warnings.simplefilter("ignore", RuntimeWarning)
        local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=folder, raise_on_error=True)
        return dict(pipeline(**parameters).outputs)


def _inputs(pipeline: Any) -> dict[str, Any]:
    return dict(pipeline.pipeline_spec.root.input_definitions.parameters)


def _parser(parent: argparse.ArgumentParser, pipeline: Any) -> argparse.ArgumentParser:
    """Add a flag for each parameter of the pipeline; lists and dictionaries are passed as JSON."""
    parser = argparse.ArgumentParser(prog=parent.prog, description=pipeline.description, parents=[parent])
    for name, spec in sorted(_inputs(pipeline).items()):
        kind = type(spec).DESCRIPTOR.fields_by_name["parameter_type"].enum_type.values_by_number[spec.parameter_type]
        flag, read = f"--{name.replace('_', '-')}", _READERS.get(kind.name, json.loads)
        parser.add_argument(flag, type=read, required=not spec.is_optional, help=spec.description.replace("%", "%%"))
    return parser


def _make_commands_visible(pipeline: str) -> None:
    """Add this environment's own command to PATH, and check that the commands that a pipeline runs are on it."""
    os.environ["PATH"] = f"{os.environ['PATH']}{os.pathsep}{Path(sys.executable).parent}"
    if missing := [name for name in COMMANDS if name in pipeline and not shutil.which(name)]:
        sys.exit(f"fairlead-pipelines: {', '.join(missing)}: not on PATH; add the `bin` of FAIRLEAD_HOME to it")
