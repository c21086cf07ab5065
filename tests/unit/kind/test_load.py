"""Which images a node lacks, by what its containerd and the engine say."""

from pathlib import Path

import pytest
from fairlead_kind.load import missing_images

LISTED = """\
REF                              TYPE           DIGEST      SIZE     PLATFORMS   LABELS
docker.io/fairlead/a:1           application/x  sha256:m1   1.0 MiB  linux/amd64 -
docker.io/fairlead/b:1           application/x  sha256:m2   1.0 MiB  linux/amd64 -
sha256:id-a                      application/x  sha256:m1   1.0 MiB  linux/amd64 -
sha256:id-b-old                  application/x  sha256:m2   1.0 MiB  linux/amd64 -
"""


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a `docker` first on PATH that answers as an engine with three images and a node with the first two."""
    program = tmp_path / "docker"
    program.write_text(
        '#!/bin/sh\ncase "$*" in\n'
        f"  exec*) cat <<'END'\n{LISTED}END\n  ;;\n"
        "  *fairlead/a:1) echo sha256:id-a;; *fairlead/b:1) echo sha256:id-b;; *) echo sha256:id-c;;\nesac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


@pytest.mark.usefixtures("docker")
def test_an_image_is_missing_when_absent_or_from_another_build() -> None:
    assert missing_images("node", ["fairlead/a:1", "fairlead/b:1", "fairlead/c:1"]) == ["fairlead/b:1", "fairlead/c:1"]
