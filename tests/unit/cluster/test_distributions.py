"""Distributions: what images install is what the checkout has."""

from pathlib import Path

import pytest
from setuptools.config.pyprojecttoml import read_configuration

ROOT = Path(__file__).parents[3]
PROJECTS = [
    path
    for folder in ("", "cluster", "components/*", "edge-runtime", "pipelines")
    for path in ROOT.glob(f"{folder}/pyproject.toml".lstrip("/"))
    if "tool.setuptools" in path.read_text()
]


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.parent.name)
def test_a_distribution_holds_every_package_below_its_folder(project: Path) -> None:
    tool = read_configuration(project)["tool"]["setuptools"]
    (top,) = {name.partition(".")[0] for name in tool["packages"]}
    (folder,) = (found.parent for found in project.parent.glob(f"**/{top}/__init__.py") if ".venv" not in found.parts)
    present = {init.parent for init in folder.rglob("__init__.py")}
    assert present <= {folder.parent.joinpath(*name.split(".")) for name in tool["packages"]}
