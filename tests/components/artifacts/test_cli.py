"""The command line, run as a user does."""

import json
import subprocess
import sys
from pathlib import Path


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fairlead_artifacts.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_publish_list_show_verify_and_fetch(base: str, folder: Path, tmp_path: Path) -> None:
    published = run("publish", str(folder), f"{base}/v1", "--kind", "dataset", "--producer", "t/1")
    assert published.returncode == 0, published.stderr
    digest = json.loads(published.stdout)["digest"]
    assert digest[:19] in run("ls", base).stdout
    assert json.loads(run("show", f"{base}/v1").stdout)["digest"] == digest
    assert run("verify", f"{base}/v1", "--digest", digest).returncode == 0
    assert run("fetch", f"{base}/v1", str(tmp_path / "copy"), "--digest", digest).returncode == 0
    assert (tmp_path / "copy" / "train.npz").read_bytes() == (folder / "train.npz").read_bytes()


def test_parents_are_named_by_the_digest_they_have_now(base: str, folder: Path) -> None:
    first = run("publish", str(folder), f"{base}/a", "--kind", "dataset", "--producer", "t/1")
    options = ("--kind", "model", "--producer", "t/1", "--parent", f"dataset={base}/a")
    made = run("publish", str(folder), f"{base}/b", *options)
    assert made.returncode == 0, made.stderr
    manifest = json.loads(run("show", f"{base}/b").stdout)["manifest"]
    assert manifest["parents"] == [
        {"name": "dataset", "digest": json.loads(first.stdout)["digest"], "uri": f"{base}/a"}
    ]


def test_an_error_is_one_line_and_exit_1(tmp_path: Path) -> None:
    rejected = run("verify", tmp_path.as_uri())
    assert rejected.returncode == 1
    assert rejected.stderr.count("\n") == 1
    assert "no artifact found" in rejected.stderr
