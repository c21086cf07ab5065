"""`fairlead pipeline`: becomes the program of another environment."""

import os
import subprocess
import sys
from pathlib import Path

FAIRLEAD = Path(sys.executable).parent / "fairlead"


def run(home: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"FAIRLEAD_HOME": str(home), "PATH": os.defpath}
    return subprocess.run([FAIRLEAD, "pipeline", *words], env=environment, capture_output=True, text=True, check=False)


def test_it_passes_its_arguments_on_to_the_program_that_setup_has_installed(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "fairlead-pipelines"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nprintf "%s|" "$@"\ncommand -v fairlead-pipelines\nexit 3\n')
    program.chmod(0o755)
    result = run(tmp_path, "run", "a b.yaml", "--text=-x", "--help")
    assert (result.returncode, result.stdout) == (3, f"run|a b.yaml|--text=-x|--help|{program}\n")


def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    result = run(tmp_path, "run")
    assert result.returncode == 1
    assert "fairlead-pipelines: not found" in result.stderr
