"""Every reason that a condition may have says what to do."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from fairlead.codegen.runbooks import build_page
from fairlead.core import runbooks
from fairlead.core.runbooks import SERVING, SWEEPS, TRAINING
from fairlead_cluster.base.home import CHECKOUT
from fairlead_contracts.termination import Reason

CORE = Path(runbooks.__file__).parents[1]
RENAMED = {"LostWorker": "WorkerLost"}


def reasons_in(folder: Path) -> Iterator[str]:
    """Yield the reasons in the sources of a folder: the first arguments of Finding, and what they are chosen from."""
    for file in (*folder.glob("*.py"), *folder.glob("scheduling/*.py")):
        tree = ast.parse(file.read_text())
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        assigned = [
            node.value for node in ast.walk(tree) if isinstance(node, ast.Assign) and is_reason(node.targets[0])
        ]
        first = [node.args[0] for node in ast.walk(tree) if is_finding(node)]
        for value in [*assigned, *first]:
            for part in ast.walk(value):
                if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value.isidentifier():
                    yield part.value
                elif isinstance(part, ast.Name) and part.id in constants:
                    yield constants[part.id]


def is_finding(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding" and bool(node.args)
    )


def is_reason(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "reason"


@pytest.mark.parametrize(
    ("folder", "known"),
    [
        (CORE / "training_job", TRAINING),
        (CORE / "model_deployment", SERVING),
        (CORE / "sweep", SWEEPS),
        (CORE, TRAINING),
        (CORE, SERVING),
    ],
)
def test_every_reason_in_the_planners_has_a_runbook(folder: Path, known: dict[str, object]) -> None:
    found = {reason for reason in reasons_in(folder) if reason[0].isupper()}
    assert found, folder
    assert found - set(known) == set()


def test_every_reason_of_a_termination_report_has_a_runbook() -> None:
    for reason in get_args(Reason):
        assert RENAMED.get(reason, f"Worker{reason}") in TRAINING or reason in ("LostLauncher",)
    assert "LostLauncher" in TRAINING  # no worker is to blame


def test_the_page_is_generated_from_the_table() -> None:
    assert (CHECKOUT / "docs" / "runbooks.md").read_text() == build_page()
    assert all(f"`{reason}`" in build_page() for reason in {**TRAINING, **SWEEPS, **SERVING})
