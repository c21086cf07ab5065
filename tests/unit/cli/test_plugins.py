"""Commands that other distributions add to `fairlead`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FAIRLEAD = Path(sys.executable).parent / "fairlead"


def _run(site: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHONPATH": str(site)}
    return subprocess.run([FAIRLEAD, *words], env=environment, capture_output=True, text=True, check=False)


def _install(site: Path, code: str) -> None:
    """Write a distribution whose entry point is `other:register`."""
    (site / "other.py").write_text(code)
    metadata = site / "other-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[fairlead.commands]\nother = other:register\n")


def test_an_installed_distribution_adds_its_commands(tmp_path: Path) -> None:
    code = "def hello():\n    print('hello')\n\n\ndef register(app):\n    app.command()(hello)\n"
    _install(tmp_path, code)
    result = _run(tmp_path, "hello")
    assert (result.returncode, result.stdout, result.stderr) == (0, "hello\n", "")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def register(app):\n    raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("", "AttributeError: module 'other' has no attribute 'register'"),
    ],
)
def test_a_failing_plugin_is_reported_in_one_line_and_skipped(tmp_path: Path, code: str, reason: str) -> None:
    _install(tmp_path, code)
    result = _run(tmp_path, "version")
    assert (result.returncode, result.stdout) == (0, "0.1.0\n")
    assert result.stderr == f"warning: commands of other are not available: {reason}\n"
