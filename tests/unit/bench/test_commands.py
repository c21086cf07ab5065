"""Benchmarks and campaigns are run by hand: that they can be imported is tested here."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MODULES = [
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for folder in ("bench", "tests/chaos")
    for file in sorted((ROOT / folder).glob("*/__main__.py"))
]


@pytest.mark.parametrize("module", MODULES)
def test_its_command_can_be_imported(module: str) -> None:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        # of a component's own environment, in which the benchmark runs
        if error.name not in ("torch", "fairlead_trainer"):
            raise
