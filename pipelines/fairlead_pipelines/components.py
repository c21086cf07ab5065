"""Load the components of pipelines from their folders; requires a checkout."""

import importlib.util
from pathlib import Path
from types import ModuleType

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = CHECKOUT / "manifests" / "pipelines"
"""The folder of the compiled pipelines."""


def load_component(name: str) -> ModuleType:
    """Load components/<name>/component.py, which is next to the component's package and not part of it."""
    path = CHECKOUT / "components" / name / "component.py"
    spec = importlib.util.spec_from_file_location(f"component_{name.replace('-', '_')}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path}: not a Python module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
