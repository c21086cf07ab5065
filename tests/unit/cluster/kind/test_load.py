"""Which images a node lacks, according to its containerd and the engine."""

from pathlib import Path

import pytest
from fairlead_cluster.base.errors import SetupError
from fairlead_cluster.base.steps import StepLog
from fairlead_cluster.kind.load import load_images, missing_images, plan_loads

LISTED = """\
REF                      TYPE           DIGEST      SIZE     PLATFORMS   LABELS
docker.io/fairlead/a:1   application/x  sha256:m1   1.0 MiB  linux/amd64 fairlead.dev/id=sha256:a1,x=managed
docker.io/fairlead/b:1   application/x  sha256:m2   1.0 MiB  linux/amd64 x=managed,fairlead.dev/id=sha256:b0
docker.io/fairlead/d:1   application/x  sha256:m3   1.0 MiB  linux/amd64 x=managed
sha256:a1                application/x  sha256:m1   1.0 MiB  linux/amd64 x=managed
"""
DOCKER = f"""\
#!/bin/sh
case "$*" in
  *import*) cat >/dev/null; echo 'write meta.db: no space left on device' >&2; exit 1 ;;
  save*) echo image ;;
  exec*) cat <<'END'
{LISTED}END
  ;;
  *fairlead/a:1) echo sha256:a1 ;;
  *fairlead/b:1) echo sha256:b1 ;;
  *) echo sha256:other ;;
esac
"""


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a fake `docker` first on PATH: an engine with all images and a node with three."""
    program = tmp_path / "docker"
    program.write_text(DOCKER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


@pytest.mark.usefixtures("docker")
def test_an_image_is_missing_if_absent_or_from_another_build_or_another_tool() -> None:
    tags = [f"fairlead/{name}:1" for name in "abcd"]
    assert missing_images("node", tags) == ["fairlead/b:1", "fairlead/c:1", "fairlead/d:1"]


@pytest.mark.usefixtures("docker")
def test_a_group_is_loaded_when_its_images_are_built_and_one_after_the_other() -> None:
    steps = plan_loads(["node"], {"bookworm": ["operator", "trainer"], "minio": ["minio"]}, {"trainer", "kind"})
    assert [(step.name, step.after) for step in steps] == [
        ("load-bookworm", ("trainer",)),
        ("load-minio", ("load-bookworm",)),
    ]


def test_without_nodes_nothing_is_loaded() -> None:
    assert plan_loads([], {"bookworm": ["operator"]}, {"operator"}) == []


@pytest.mark.usefixtures("docker")
def test_a_failed_load_says_why(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"fairlead/a:1 cannot be loaded into node; (.|\n)*no space left on device"):
        load_images(["node"], ["fairlead/a:1"], StepLog(tmp_path / "load.log"))
