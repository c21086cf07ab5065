"""The runc wrapper, run as a program with a runc that prints its arguments."""

import json
import os
import subprocess
from pathlib import Path

import pytest

WRAPPER = Path(__file__).resolve().parents[4] / "cluster" / "kind" / "runc-without-resource"
PROCESS = {
    "args": ["sh"],
    "oomScoreAdj": -500,
    "capabilities": {"bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE"], "effective": ["CAP_SYS_RESOURCE"]},
}
REDUCED = {"args": ["sh"], "capabilities": {"bounding": ["CAP_CHOWN"], "effective": []}}


def run(folder: Path, *arguments: str | Path) -> str:
    runc = folder / "runc"
    runc.write_text('#!/bin/sh\necho "$@"\nexit 7\n')
    runc.chmod(0o755)
    environment = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    result = subprocess.run([WRAPPER, *arguments], capture_output=True, text=True, env=environment)
    assert result.returncode == 7, "runc's exit status is the wrapper's"
    return result.stdout.strip()


@pytest.mark.parametrize("option", [["--bundle", "{}"], ["--bundle={}"], ["-b", "{}"]])
def test_create_loses_the_capability_and_the_score(tmp_path: Path, option: list[str]) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"process": PROCESS, "root": {"path": "rootfs"}}))
    words = ["--root", "/run/x", "create", *(word.format(tmp_path) for word in option), "name"]
    assert run(tmp_path, *words) == " ".join(words)
    assert json.loads(config.read_text()) == {"process": REDUCED, "root": {"path": "rootfs"}}


def test_exec_loses_them_too(tmp_path: Path) -> None:
    process = tmp_path / "process.json"
    process.write_text(json.dumps(PROCESS))
    run(tmp_path, "exec", "--process", process, "name")
    assert json.loads(process.read_text()) == REDUCED


def test_other_commands_pass_unchanged(tmp_path: Path) -> None:
    assert run(tmp_path, "delete", "--force", "name") == "delete --force name"
