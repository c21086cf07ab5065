"""One API server for all integration tests, and one operator for those that need it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fairlead_artifacts import publish

from tests.support.api_server import Kubectl, running_operator, started_api_server, wait_for
from tests.support.launchers import SimulatedLaunchers, serving_launchers
from tests.support.ports import free_port, own_address
from tests.support.prometheus import ScriptedPrometheus, serving_prometheus

POD_ADDRESS = own_address(3)
"""Of every pod that a test runs."""


@dataclass(frozen=True)
class Operator:
    """The running operator."""

    port: int


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="session")
def kubectl(folder: Path) -> Iterator[Kubectl]:
    with started_api_server(folder / "plane") as kubectl:
        yield kubectl


@pytest.fixture(scope="session", autouse=True)
def launchers() -> Iterator[SimulatedLaunchers]:
    """The launchers of all jobs whose pods the tests run."""
    with serving_launchers(POD_ADDRESS) as launchers:
        yield launchers


@pytest.fixture(scope="session")
def prometheus() -> Iterator[ScriptedPrometheus]:
    """What the operator asks rollouts' queries of."""
    with serving_prometheus() as prometheus:
        yield prometheus


@pytest.fixture(scope="session")
def operator(kubectl: Kubectl, folder: Path, prometheus: ScriptedPrometheus) -> Iterator[Operator]:
    port = free_port()
    allowed = {"FAIRLEAD_ROUTE_HOSTS": "*=*.example.com", "FAIRLEAD_INGRESS_ANNOTATIONS": "note.example.com/allowed"}
    with running_operator(kubectl, folder, port, FAIRLEAD_PROMETHEUS_URL=prometheus.url, **allowed):
        yield Operator(port)


@pytest.fixture
def cleaned(kubectl: Kubectl, request: pytest.FixtureRequest) -> Iterator[None]:
    """Delete the deployment `NAME` of the test's module afterwards, and wait until none of its pods is left."""
    yield
    name = request.module.NAME
    kubectl("delete", "mdep", name, "--ignore-not-found")
    # the garbage collector looks for new kinds, such as ours at first, every 30 s, and waits until all are listed
    wait_for(lambda: not kubectl.list("pods", labels=f"fairlead.dev/deployment={name}"), "no pods", 150)


def publish_model(folder: Path, name: str) -> str:
    """Publish a model of its own content, once; return its URI."""
    source, uri = folder / name, f"file://{folder}/store/{name}"
    if not source.exists():
        source.mkdir()
        (source / "model.onnx").write_bytes(name.encode())
        publish(source, uri, kind="onnx-model", producer="test/1")
    return uri
