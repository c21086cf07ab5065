"""A local cluster shared by these tests, with its state in a temporary FAIRLEAD_HOME."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fairlead_artifacts import publish
from fairlead_cluster.local.cluster import down, up

from tests.local.support import LocalCluster, guard_cluster, prepare_home, started_cluster
from tests.support.api_server import wait_for


@pytest.fixture(scope="session")
def make_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Path]]:
    """Create FAIRLEAD_HOMEs that share the Kubernetes binary; their clusters are stopped after the test run."""
    guards = []

    def make() -> Path:
        home = prepare_home(tmp_path_factory.mktemp("a home with spaces"))
        guards.append(guard_cluster(home))
        return home

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


@pytest.fixture(scope="session")
def _fairlead(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with started_cluster(tmp_path_factory.mktemp("a home with spaces") / "home") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def fairlead(_fairlead: LocalCluster) -> Iterator[LocalCluster]:
    """A local cluster with the operator and the components' environments; each module finds it without resources."""
    yield _fairlead
    _fairlead.kubectl("delete", "sweeps,trainingjobs,modeldeployments", "--all", "--timeout=60s")
    wait_for(lambda: not _fairlead.list("pods", "app.kubernetes.io/managed-by=fairlead"), "the pods to go", 60)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bytes], str]:
    """Publish models."""
    folder = tmp_path_factory.mktemp("models")

    def run(name: str, model: bytes) -> str:
        source = folder / f"{name}-source"
        source.mkdir()
        (source / "model.onnx").write_bytes(model)
        uri = f"file://{folder}/store/{name}"
        publish(source, uri, kind="onnx-model", producer="test/1")
        return uri

    return run
