"""The Makefile in a checkout whose path has spaces."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fairlead_cluster.__main__ import list_typed
from fairlead_cluster.base.home import CHECKOUT
from fairlead_cluster.components import discover


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of what the Makefile reads, at a path with spaces."""
    copy = tmp_path / "my projects" / "fair lead"
    files = ["Makefile", "requirements-dev.txt", "operator/requirements.txt", "operator/bootstrap.sh"]
    files += [str(item.project.relative_to(CHECKOUT) / "pyproject.toml") for item in discover().values()]
    for name in files:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, copy / name)
    shutil.copytree(CHECKOUT / "cluster" / "fairlead_cluster", copy / "cluster" / "fairlead_cluster")
    return copy


def test_make_runs_in_a_folder_and_with_a_python_whose_paths_have_spaces(checkout: Path) -> None:
    # as in a shell where the checkout's own .venv is active
    python = checkout / ".venv" / "bin" / "python3"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    for name, value in (("PYTHON", str(python)), ("PATH", f"{python.parent}:{os.environ['PATH']}")):
        environment = {key: os.environ[key] for key in ("PATH", "HOME")} | {name: value}
        done = subprocess.run(
            ["make", "--dry-run", "demo", "verify"], cwd=checkout, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "operator/bootstrap.sh" in done.stdout
        assert ".venv/bin/fairlead demo" in done.stdout


def test_what_mypy_checks_is_listed_in_three_columns_even_if_a_path_has_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_HOME", "/a home/with spaces")
    columns = [line.split("\t") for line in list_typed(discover().values())]
    assert all(len(row) == 3 for row in columns)
    assert "/a home/with spaces/envs/trainer/bin/python" in [row[0] for row in columns]
