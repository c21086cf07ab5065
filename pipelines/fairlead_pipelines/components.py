"""The components that pipelines are made of, from their folders; needs a checkout."""

import importlib.util
from pathlib import Path
from types import ModuleType

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = CHECKOUT / "manifests" / "pipelines"
"""Where compiled pipelines lie."""


def load_component(name: str) -> ModuleType:
    """Load components/<name>/component.py, which is beside the component's package and not part of it."""
    path = CHECKOUT / "components" / name / "component.py"
    spec = importlib.util.spec_from_file_location(f"component_{name.replace('-', '_')}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path}: not a Python module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
