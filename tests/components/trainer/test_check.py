"""`fairlead-agent --check`: what a job would lack."""

import subprocess
import sys
from pathlib import Path

from fairlead_artifacts import Manifest
from fairlead_trainer.check import run_checks

AGENT = Path(sys.executable).parent / "fairlead-agent"


def texts(*arguments: str | None) -> dict[str, tuple[bool, str]]:
    command = ["sh", "-c", "true"]
    found = run_checks("horovod", command, *arguments) if arguments else run_checks("horovod", command, None, None)
    return {check.text.split()[0]: (check.passed, check.text) for check in found}


def test_what_is_there_is_named(dataset: tuple[str, Manifest]) -> None:
    uri, manifest = dataset
    found = texts(uri, manifest.digest)
    assert set(found) == {"agent", "user", "command", "framework", "dataset"}
    assert manifest.digest in found["dataset"][1]
    assert all(passed for name, (passed, _) in found.items() if name != "user")


def test_a_dataset_that_a_job_could_not_read_is_named(dataset: tuple[str, Manifest], tmp_path: Path) -> None:
    uri, _ = dataset
    for problem, arguments in (
        ("digest is sha256:", (uri, "sha256:" + "0" * 64)),
        ("no artifact found", (f"file://{tmp_path}/nothing", None)),
    ):
        passed, text = texts(*arguments)["dataset"]
        assert not passed and problem in text


def run(*words: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([AGENT, "--check", *words], cwd=cwd, capture_output=True, text=True, check=False)


def test_it_exits_with_1_if_anything_is_missing_and_starts_nothing(tmp_path: Path) -> None:
    done = run("--backend", "torchrun", "--", "no-such-program", cwd=tmp_path)
    assert done.returncode == 1
    assert "✗ command    'no-such-program' is not on PATH" in done.stdout
    done = run("--backend", "torchrun", "--", sys.executable, "train.py", "--steps", "3", cwd=tmp_path)
    assert done.returncode == 1
    assert f"✗ command    'train.py' is not in {tmp_path}" in done.stdout
    (tmp_path / "train.py").write_text("open('started', 'w')")
    done = run("--backend", "torchrun", "--", sys.executable, "train.py", "--steps", "3", cwd=tmp_path)
    assert f"✓ command    {sys.executable}" in done.stdout
    assert not (tmp_path / "started").exists()


def test_a_command_is_expected() -> None:
    done = run("--backend", "torchrun")
    assert done.returncode == 2 and "command: got none" in done.stderr
