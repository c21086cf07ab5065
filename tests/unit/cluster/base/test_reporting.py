"""Error reporting of the commands."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from fairlead.cli.console import CommandError
from fairlead_cluster.base.errors import ClusterError, SetupError
from fairlead_cluster.base.reporting import explained

FAIRLEAD = Path(sys.executable).parent / "fairlead"


@pytest.mark.parametrize("error", [ClusterError, CommandError, SetupError])
def test_an_error_that_a_user_can_act_on_becomes_a_message(
    error: type[Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, explained():
        raise error("etcd is [not] ready")
    assert ended.value.code == 1
    assert capsys.readouterr().err == "error: etcd is [not] ready\n"


def test_any_other_error_shows_its_traceback() -> None:
    with pytest.raises(KeyError), explained():
        raise KeyError("x")


def test_the_demo_reports_a_failed_setup_without_a_traceback(tmp_path: Path) -> None:
    result = _run(tmp_path, "demo")
    assert result.returncode == 1
    assert "error: " in result.stderr
    assert "digits: " in result.stderr  # the step that failed
    assert "Traceback" not in result.stdout + result.stderr


def test_a_cluster_that_cannot_start_is_reported_without_a_traceback(tmp_path: Path) -> None:
    result = _run(tmp_path, "up")
    assert result.returncode == 1
    assert result.stderr.replace("\n", " ").startswith(f"error: {tmp_path}/home/bin/kube: no such file")
    assert "Traceback" not in result.stdout + result.stderr


def _run(folder: Path, command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in an empty home without network access and with a Go that cannot build."""
    go = folder / "bin" / "go"
    go.parent.mkdir()
    go.write_text("#!/bin/sh\n[ $1 = env ] && echo go1.99.0 && exit\nexit 1\n")
    go.chmod(go.stat().st_mode | stat.S_IXUSR)
    environment = os.environ | {
        "FAIRLEAD_HOME": str(folder / "home"),
        "PATH": f"{go.parent}:{os.environ['PATH']}",
        "UV_OFFLINE": "1",
        "UV_CACHE_DIR": str(folder / "cache"),
        "COLUMNS": "500",
    }
    return subprocess.run([FAIRLEAD, command], env=environment, capture_output=True, text=True, check=False)
