"""A local cluster shared by these tests, with its state in a temporary FAIRLEAD_HOME."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fairlead_cluster.base.home import Home, default_home
from fairlead_cluster.local.cluster import down, up

from tests.local.support import LocalCluster

# stops a cluster when the test run ends, however it ends: the pipe is then closed
_GUARD = (
    "import sys, pathlib; from fairlead_cluster.local.cluster import down; "
    "sys.stdin.read(); down(pathlib.Path(sys.argv[1]), purge=True)"
)


@pytest.fixture(scope="session")
def make_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Path]]:
    """Create FAIRLEAD_HOMEs that share the Kubernetes binary; their clusters are stopped after the test run."""
    guards = []

    def make() -> Path:
        home = Home(tmp_path_factory.mktemp("a home with spaces"))
        built = Home(default_home())
        if not built.kube.exists():
            pytest.fail(f"{built.kube}: no such file, expected the Kubernetes binary; run `fairlead setup`")
        home.bin.mkdir()
        for name in ("kube", "kubectl"):
            (home.bin / name).symlink_to(built.bin / name)
        (home.root / "images.json").write_text(json.dumps({"fairlead/test": sys.prefix}))
        guard = subprocess.Popen(
            [sys.executable, "-c", _GUARD, home.root], stdin=subprocess.PIPE, start_new_session=True
        )
        guards.append(guard)
        return home.root

    yield make
    for guard in guards:
        guard.communicate(timeout=60)


@pytest.fixture(scope="session")
def cluster(make_home: Callable[[], Path]) -> Iterator[LocalCluster]:
    """A running local cluster without the operator."""
    home = make_home()
    up(home, operator=False)
    yield LocalCluster(home)
    down(home, purge=True)
