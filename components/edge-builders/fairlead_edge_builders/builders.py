"""The builders, by the names of their targets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .coreml import build_coreml
from .errors import CannotBuild
from .executorch_program import build_executorch
from .importing import Program, import_model
from .litert import build_litert, build_litert_int8

BUILDERS: dict[str, Callable[[Program, Path], None]] = {
    "litert": build_litert,
    "litert-int8": build_litert_int8,
    "executorch": build_executorch,
    "coreml": build_coreml,
}


def build_target(name: str, model: Path, examples: NDArray[Any], folder: Path) -> None:
    """Write a target's files into a folder; raise CannotBuild."""
    if name not in BUILDERS:
        raise CannotBuild(f"target: got {name!r}, expected one of {', '.join(BUILDERS)}")
    BUILDERS[name](import_model(model, examples), folder)
