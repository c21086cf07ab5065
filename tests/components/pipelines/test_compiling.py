"""The compiled pipelines: committed, reproducible on every machine, without installations at run time."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import kfp
import pytest
import yaml
from fairlead_pipelines.compiling import compile_pipelines
from fairlead_pipelines.components import CHECKOUT, FOLDER, load_component
from fairlead_pipelines.tasks import require_valid_dataset
from kfp import compiler, components, dsl

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


def _read_artifacts(pipeline: str) -> dict[str, dict[str, str]]:
    return {
        label.removeprefix("comp-"): {
            name: spec["artifactType"]["schemaTitle"].removeprefix("system.")
            for name, spec in component.get("outputDefinitions", {}).get("artifacts", {}).items()
        }
        for label, component in _pipeline_spec(pipeline)["components"].items()
    }


def test_every_step_has_typed_outputs_for_the_ui() -> None:
    common = {
        "validate": {"dataset": "Dataset", "report": "HTML", "metrics": "Metrics"},
        "require-valid-dataset": {},
        "train": {"model": "Model", "metrics": "Metrics"},
        "convert": {"model": "Model", "parity_metrics": "Metrics"},
        "evaluate": {
            "model": "Model", "card": "HTML", "metrics": "Metrics", "classification": "ClassificationMetrics",
        },
        "require-good-model": {},
        "deploy": {"served": "Model", "summary": "Markdown"},
    }  # fmt: skip
    assert _read_artifacts("digits.yaml") == common | {"make-scaler": {"model": "Model"}}
    assert _read_artifacts("flights.yaml") == common | {
        "join-features": {"dataset": "Dataset"}, "materialize-features": {"metrics": "Metrics"},
    }  # fmt: skip


@pytest.mark.parametrize("pipeline", COMPILED)
def test_tasks_run_where_restricted_is_enforced_and_quotas_are(pipeline: str) -> None:
    (_, platform) = yaml.safe_load_all((FOLDER / pipeline).read_text())
    settings = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for name, container in _executors(pipeline).items():
        assert settings[f"exec-{name}"]["securityContext"] == {"runAsNonRoot": True}, name
        assert container["resources"]["resourceCpuRequest"] == "100m", name
        assert container["resources"]["resourceMemoryRequest"] == "256Mi", name
        assert container["resources"]["resourceMemoryLimit"] == "4Gi", name


@pytest.mark.parametrize("pipeline", COMPILED)
@pytest.mark.parametrize("task", ["train", "deploy"])
def test_tasks_that_use_resources_are_never_found_in_a_cache(pipeline: str, task: str) -> None:
    """A cache's key is made of a task's inputs as they are resolved, and a run may turn caching on for all tasks."""
    inputs = _pipeline_spec(pipeline)["root"]["dag"]["tasks"][task]["inputs"]["parameters"]
    assert inputs["kubeflow_run_id"]["runtimeValue"]["constant"] == "{{$.pipeline_job_uuid}}"


@pytest.mark.parametrize("pipeline", COMPILED)
def test_no_value_is_put_together_where_the_ui_would_show_placeholders(pipeline: str) -> None:
    for task in _pipeline_spec(pipeline)["root"]["dag"]["tasks"].values():
        for name, value in task.get("inputs", {}).get("parameters", {}).items():
            assert "{{$.inputs" not in str(value), name


def test_the_images_can_be_those_of_a_registry(tmp_path: Path) -> None:
    for path in compile_pipelines(tmp_path, "registry.example/ml/"):
        # an image's name, but no key and no part of a text
        found = re.findall(r"""([^\s'"]*)fairlead/[a-z0-9-]+:\d""", path.read_text())
        assert found, path.name
        assert set(found) == {"registry.example/ml/"}, path.name


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
    assert required == {"dataset_uri", "dataset_digest", "expectation_suite", "models_uri"}
    assert set(pipeline.component_spec.outputs) == {"url", "model_version"}


def _read_order(pipeline: str) -> dict[str, set[str]]:
    tasks = _pipeline_spec(pipeline)["root"]["dag"]["tasks"]
    return {name: set(task.get("dependentTasks", [])) for name, task in tasks.items()}


def test_steps_run_in_the_order_that_the_gate_needs() -> None:
    assert _read_order("digits.yaml") == {
        "validate": set(),
        "require-valid-dataset": {"validate"},
        "train": {"require-valid-dataset"},
        "convert": {"train"},
        "evaluate": {"convert"},
        "require-good-model": {"evaluate"},
        "make-scaler": set(),
        "deploy": {"convert", "require-good-model", "make-scaler"},
    }
    assert _read_order("flights.yaml") == {
        "join-features": set(),
        "validate": {"join-features"},
        "require-valid-dataset": {"validate"},
        "train": {"join-features", "require-valid-dataset"},
        "convert": {"join-features", "train"},
        "evaluate": {"join-features", "convert"},
        "require-good-model": {"evaluate"},
        "materialize-features": {"require-good-model"},
        "deploy": {"convert", "require-good-model", "materialize-features"},
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


def test_the_pipeline_of_the_guide_compiles(tmp_path: Path) -> None:
    guide = (CHECKOUT / "docs" / "guides" / "data.md").read_text()
    (code,) = re.findall(r"```python\n(made = ingest.*?)```", guide, re.DOTALL)

    @dsl.pipeline(name="guide")
    def guide_pipeline(recipe: str, suite: str) -> None:
        names = {"ingest": load_component("data-ingest"), "validation": load_component("data-validation")}
        exec(code, {**names, "recipe": recipe, "suite": suite, "require_valid_dataset": require_valid_dataset})

    compiler.Compiler().compile(guide_pipeline, str(tmp_path / "guide.yaml"))
