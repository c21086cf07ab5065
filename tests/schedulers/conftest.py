"""One cluster for all tests here: control plane, default scheduler, nodes, Kueue, coscheduling, and the operator."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.schedulers.coscheduling import running_coscheduling
from tests.schedulers.kueue import running_kueue
from tests.schedulers.nodes import Nodes, running_nodes
from tests.schedulers.programs import COSCHEDULING, KUEUE
from tests.support.api_server import Kubectl, running_operator, started_api_server
from tests.support.launchers import SimulatedLaunchers, serving_launchers
from tests.support.ports import free_port, own_address

POD_ADDRESS = own_address(4)
"""Of every pod that runs."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="session")
def kubectl(folder: Path) -> Iterator[Kubectl]:
    with started_api_server(folder / "plane", "kube-scheduler") as kubectl:
        yield kubectl


@pytest.fixture(scope="session")
def nodes(kubectl: Kubectl) -> Iterator[Nodes]:
    """Two nodes of four CPUs each."""
    with running_nodes(kubectl, POD_ADDRESS) as nodes:
        yield nodes


@pytest.fixture(scope="session")
def launchers() -> Iterator[SimulatedLaunchers]:
    """The launchers of all jobs."""
    with serving_launchers(POD_ADDRESS) as launchers:
        yield launchers


@pytest.fixture(scope="session")
def operator(kubectl: Kubectl, folder: Path, nodes: Nodes, launchers: SimulatedLaunchers) -> Iterator[None]:
    with running_operator(kubectl, folder, free_port()):
        yield


@pytest.fixture(scope="session")
def kueue(kubectl: Kubectl, folder: Path, operator: None) -> Iterator[None]:
    KUEUE.build()
    with running_kueue(kubectl, folder / "kueue"):
        yield


@pytest.fixture(scope="session")
def coscheduling(kubectl: Kubectl, folder: Path, operator: None) -> Iterator[None]:
    COSCHEDULING.build()
    with running_coscheduling(kubectl, folder / "coscheduling"):
        yield


@pytest.fixture(autouse=True)
def emptied(kubectl: Kubectl) -> Iterator[None]:
    """Delete the jobs of a test after it: their pods would take the nodes of the next one."""
    yield
    kubectl("delete", "tj", "--all", "--wait=false")
