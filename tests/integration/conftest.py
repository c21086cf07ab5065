"""One API server for all integration tests, and one operator for those that need it."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.api_server import Kubectl, running_operator, started_api_server
from tests.support.launchers import SimulatedLaunchers, serving_launchers
from tests.support.prometheus import ScriptedPrometheus, serving_prometheus

POD_ADDRESS = "127.200.0.3"
"""Of every pod that a test runs."""


@dataclass(frozen=True)
class Operator:
    """The running operator."""

    port: int


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


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
    with running_operator(kubectl, folder, port, FAIRLEAD_PROMETHEUS_URL=prometheus.url):
        yield Operator(port)
