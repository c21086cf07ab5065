"""Compile pipelines to YAML; requires a checkout."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kfp import compiler

from fairlead_pipelines.components import FOLDER
from fairlead_pipelines.digits import digits
from fairlead_pipelines.flights import flights

PIPELINES: dict[str, Callable[..., Any]] = {"digits": digits, "flights": flights}
_IMAGE = re.compile(r"(?<![\w./-])fairlead/(?=[a-z0-9-]+:\d)")
"""Before the name of an image, wherever it is: of a step, or a parameter's default."""


def compile_pipelines(folder: Path | None = None, registry: str = "") -> list[Path]:
    """Compile all pipelines; the result depends only on the sources, KFP's version and the registry of the images."""
    folder = folder or FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return [_compile(name, pipeline, folder, registry) for name, pipeline in sorted(PIPELINES.items())]


def _compile(name: str, pipeline: Callable[..., Any], folder: Path, registry: str) -> Path:
    path = folder / f"{name}.yaml"
    compiler.Compiler().compile(pipeline, str(path))
    if registry:
        path.write_text(_IMAGE.sub(f"{registry.rstrip('/')}/fairlead/", path.read_text()))
    return path
