"""Compile pipelines to YAML; requires a checkout."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kfp import compiler

from fairlead_pipelines.components import FOLDER
from fairlead_pipelines.digits import digits
from fairlead_pipelines.flights import flights

PIPELINES: dict[str, Callable[..., Any]] = {"digits": digits, "flights": flights}


def compile_pipelines(folder: Path | None = None) -> list[Path]:
    """Compile all pipelines; the result depends only on the sources and KFP's version."""
    folder = folder or FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return [_compile(name, pipeline, folder) for name, pipeline in sorted(PIPELINES.items())]


def _compile(name: str, pipeline: Callable[..., Any], folder: Path) -> Path:
    path = folder / f"{name}.yaml"
    compiler.Compiler().compile(pipeline, str(path))
    return path
