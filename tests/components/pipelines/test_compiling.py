"""The compiled pipelines: committed, reproducible on every machine, without installations at run time."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import kfp
import pytest
import yaml
from fairlead_pipelines.compiling import compile_pipelines
from fairlead_pipelines.components import CHECKOUT, FOLDER
from kfp import components

COMPILED = sorted(path.name for path in FOLDER.glob("*.yaml") if "PIPELINE DEFINITION" in path.read_text())


def _pipeline_spec(name: str) -> dict[str, Any]:
    return dict(next(yaml.safe_load_all((FOLDER / name).read_text())))


def _executors(name: str) -> dict[str, Any]:
    executors = _pipeline_spec(name)["deploymentSpec"]["executors"]
    return {label.removeprefix("exec-"): dict(executor["container"]) for label, executor in executors.items()}


def _parameters(component: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    return component["inputDefinitions"]["parameters"].items()


def _place_artifacts(component: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return where a task's typed artifacts go, as KFP's launcher says it."""
    names = component["outputDefinitions"].get("artifacts", {}).items()
    return {
        name: {"artifacts": [{"name": name, "uri": str(folder / name), "type": spec["artifactType"], "metadata": {}}]}
        for name, spec in names
    }


def test_the_evaluation_has_typed_outputs_for_the_ui() -> None:
    outputs = _pipeline_spec("digits.yaml")["components"]["comp-evaluate"]["outputDefinitions"]["artifacts"]
    assert {name: spec["artifactType"]["schemaTitle"] for name, spec in outputs.items()} == {
        "card": "system.HTML", "metrics": "system.Metrics",
    }  # fmt: skip


def test_committed_pipelines_equal_a_fresh_compile_from_anywhere(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    fresh = compile_pipelines(tmp_path / "made")
    assert [path.name for path in fresh] == COMPILED
    for path in fresh:
        assert path.read_text() == (FOLDER / path.name).read_text(), f"{path.name}: run `fairlead-pipelines compile`"


def test_compiled_pipeline_names_no_machine() -> None:
    for name in COMPILED:
        text = (FOLDER / name).read_text()
        assert str(CHECKOUT) not in text
        assert str(Path.home()) not in text


def test_compiled_pipeline_is_loaded_back_with_its_parameters() -> None:
    pipeline = components.load_component_from_text((FOLDER / "digits.yaml").read_text())
    inputs = pipeline.component_spec.inputs
    required = {name for name, spec in inputs.items() if not spec.optional}
    assert required == {"run", "dataset_uri", "dataset_digest", "suite", "models_uri"}
    assert set(pipeline.component_spec.outputs) == {"url", "model_version"}


def _read_order(pipeline: str) -> dict[str, set[str]]:
    tasks = _pipeline_spec(pipeline)["root"]["dag"]["tasks"]
    return {name: set(task.get("dependentTasks", [])) for name, task in tasks.items()}


def test_steps_run_in_the_order_that_the_gate_needs() -> None:
    assert _read_order("digits.yaml") == {
        "validate": set(),
        "train": {"validate"},
        "convert": {"train"},
        "evaluate": {"convert"},
        "make-scaler": set(),
        "deploy": {"convert", "evaluate", "make-scaler"},
    }
    assert _read_order("flights.yaml") == {
        "join-features": set(),
        "validate": {"join-features"},
        "train": {"join-features", "validate"},
        "convert": {"join-features", "train"},
        "evaluate": {"join-features", "convert"},
        "materialize-features": {"evaluate"},
        "deploy": {"convert", "evaluate", "materialize-features"},
    }


@pytest.mark.parametrize("pipeline", COMPILED)
def test_no_task_is_cached(pipeline: str) -> None:
    for name, task in _pipeline_spec(pipeline)["root"]["dag"]["tasks"].items():
        assert "enableCache" not in task["cachingOptions"], name


@pytest.mark.parametrize("pipeline", COMPILED)
def test_tasks_install_nothing_and_run_in_our_images(pipeline: str) -> None:
    for name, container in _executors(pipeline).items():
        assert "pip install" not in " ".join(container["command"]), name
        folder, _, version = container["image"].removeprefix("fairlead/").partition(":")
        project = next(path for path in (CHECKOUT / folder, CHECKOUT / "components" / folder) if path.exists())
        assert f'version = "{version}"' in (project / "pyproject.toml").read_text(), name


@pytest.mark.parametrize(
    ("pipeline", "task"),
    [
        *(("digits.yaml", task) for task in ("convert", "deploy", "evaluate", "make-scaler", "train", "validate")),
        *(("flights.yaml", task) for task in ("join-features", "materialize-features")),
    ],
)
def test_a_tasks_image_needs_of_kfp_only_its_own_files(pipeline: str, task: str, tmp_path: Path) -> None:
    """Run the task's program with a Python that has only kfp's wheel, and without the task's command on PATH."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "kfp").symlink_to(Path(kfp.__file__).parent)
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "mktemp"):
        (tmp_path / "bin" / tool).symlink_to(Path("/usr/bin", tool))
    python = tmp_path / "bin" / "python3"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    python.chmod(0o755)
    container = _executors(pipeline)[task]
    component = _pipeline_spec(pipeline)["components"][f"comp-{task}"]
    values = {
        "STRING": "x",
        "NUMBER_INTEGER": 1,
        "NUMBER_DOUBLE": 1.0,
        "BOOLEAN": True,
        "LIST": ["x"],
        "STRUCT": {"x": "y"},
    }
    given = {name: values[parameter["parameterType"]] for name, parameter in _parameters(component)}
    outputs = {"outputFile": str(tmp_path / "out.json"), "artifacts": _place_artifacts(component, tmp_path)}
    executor_input = {"inputs": {"parameterValues": given}, "outputs": outputs}
    words = [json.dumps(executor_input) if word.startswith("{{$}}") else word for word in container["args"]]
    result = subprocess.run(
        [*container["command"], *words], capture_output=True, text=True, timeout=60, cwd=tmp_path,
        env={"PATH": str(tmp_path / "bin"), "PYTHONPATH": str(tmp_path / "site"), "TMPDIR": os.fspath(tmp_path)},
    )  # fmt: skip
    assert result.returncode != 0
    assert "ModuleNotFoundError" not in result.stderr, result.stderr
    assert "FileNotFoundError: [Errno 2] No such file or directory: 'fairlead-" in result.stderr
