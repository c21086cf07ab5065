"""Pipelines to YAML, and the components that they are made of from their folders; needs a checkout."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from kfp import compiler

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = CHECKOUT / "manifests" / "pipelines"


def compile_pipelines(folder: Path | None = None) -> list[Path]:
    """Write every pipeline; the result depends on nothing but the sources and KFP's version."""
    folder = folder or FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return [_compile(name, pipeline, folder) for name, pipeline in sorted(_pipelines().items())]


def load_component(name: str) -> ModuleType:
    """Load components/<name>/component.py, which is beside the component's package and not part of it."""
    path = CHECKOUT / "components" / name / "component.py"
    spec = importlib.util.spec_from_file_location(f"component_{name.replace('-', '_')}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path}: not a Python module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _pipelines() -> dict[str, Callable[..., Any]]:
    from fairlead_pipelines.digits import digits  # it loads components by this module

    return {"digits": digits}


def _compile(name: str, pipeline: Callable[..., Any], folder: Path) -> Path:
    path = folder / f"{name}.yaml"
    compiler.Compiler().compile(pipeline, str(path))
    return path
