"""Several predictors on a real API server: the operator is a process, the graph servers are scripted."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fairlead_contracts.traffic import BOUNDS, Agreement, Counts

from tests.integration.conftest import Operator, publish_model
from tests.support.api_server import Kubectl, wait_for
from tests.support.graph_servers import ScriptedServer, read_traffic_key, serving_graphs
from tests.support.ports import own_address
from tests.support.resources import MODEL_DEPLOYMENT, Object, change
from tests.support.splits import predictor

NAME = "split"
LABELS = f"fairlead.dev/deployment={NAME}"
ADDRESSES = {"main": own_address(4), "next": own_address(5), "dark": own_address(6)}
Servers = dict[str, ScriptedServer]

pytestmark = pytest.mark.usefixtures("cleaned")


@pytest.fixture
def servers(kubectl: Kubectl) -> Iterator[Servers]:
    """The graph servers of each predictor: all its pods have one address."""

    with ExitStack() as stack:
        key = partial(read_traffic_key, kubectl, NAME)
        found = {name: stack.enter_context(serving_graphs(at, 8080, key)) for name, at in ADDRESSES.items()}
        for name, server in found.items():
            server.revision = name
        yield found


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Object]:
    """Build a predictor whose model exists."""

    def run(name: str, *args: Any, **fields: Any) -> Object:
        graph = {"name": "model", "modelUri": publish_model(tmp_path, name)}
        return predictor(name, *args, **fields) | {"graph": graph}

    return run


def apply(kubectl: Kubectl, *predictors: Object, **changes: Any) -> None:
    kubectl.apply(change(MODEL_DEPLOYMENT, metadata__name=NAME, spec__predictors=list(predictors), **changes))


def run_pods(kubectl: Kubectl) -> Object:
    """Do what kubelets do, and return the deployment's status."""
    kubectl.run_pods(LABELS, lambda pod: ADDRESSES[pod["metadata"]["labels"]["fairlead.dev/predictor"]])
    return dict(kubectl.get("mdep", NAME).get("status") or {})


def in_force(kubectl: Kubectl) -> dict[str, tuple[int | None, int | None]]:
    """Return what the status says to be in force of each predictor."""
    found = run_pods(kubectl).get("predictors", [])
    return {each["name"]: (each.get("trafficConfirmed"), each.get("shadowConfirmed")) for each in found}


def routes(server: ScriptedServer) -> dict[str, tuple[float, float]]:
    found = server.document.routes if server.document else ()
    return {route.name: (route.percent, route.mirror_percent) for route in found}


def names(kubectl: Kubectl, kind: str) -> set[str]:
    return {item["metadata"]["name"].rpartition("-")[0] for item in kubectl.list(kind, labels=LABELS)}


def test_predictors_share_requests_as_the_spec_says_and_go_when_it_does(
    kubectl: Kubectl, operator: Operator, servers: Servers, build: Callable[..., Object]
) -> None:
    dark = build("dark", shadow=50)
    servers["main"].counts = Counts(requests=200, errors=20, latency=(200, *(0 for _ in BOUNDS)))
    servers["main"].agreement = Agreement(compared=100, agreed=75, max_distance=2.5)
    budget = {"spec__disruptionBudget": {"maxUnavailable": 1}}
    apply(kubectl, build("main", 90), build("next", 10), dark, spec__stickiness={"cookie": "user"}, **budget)
    expected = {"main": (90, None), "next": (10, None), "dark": (0, 50)}
    wait_for(lambda: in_force(kubectl) == expected, "the split", 90)
    assert routes(servers["main"]) == {"next": (10, 0), "dark": (0, 50)}
    assert servers["main"].document is not None
    assert servers["main"].document.sticky is not None
    assert servers["main"].document.sticky.cookie == "user"
    assert (routes(servers["next"]), routes(servers["dark"])) == ({}, {})
    assert kubectl.get("service", NAME)["spec"]["selector"]["fairlead.dev/predictor"] == "main"
    measured = {each["name"]: each["measured"] for each in run_pods(kubectl)["predictors"]}
    assert (measured["next"]["requests"], measured["next"]["errors"]) == (200, 20)
    assert (measured["dark"]["compared"], measured["dark"]["agreed"], measured["dark"]["maxDistance"]) == (100, 75, 2.5)
    assert len(kubectl.list("poddisruptionbudgets", labels=LABELS)) == 3

    # other weights: no new pods
    pods = {pod["metadata"]["uid"] for pod in kubectl.list("pods", labels=LABELS)}
    patch = [{"op": "replace", "path": f"/spec/predictors/{index}/traffic", "value": 50} for index in (0, 1)]
    kubectl("patch", "mdep", NAME, "--type", "json", "-p", json.dumps(patch))
    wait_for(lambda: in_force(kubectl) == expected | {"main": (50, None), "next": (50, None)}, "other weights", 60)
    assert routes(servers["main"]) == {"next": (50, 0), "dark": (0, 50)}
    assert {pod["metadata"]["uid"] for pod in kubectl.list("pods", labels=LABELS)} == pods

    # the other one is the entry, and the first one goes
    apply(kubectl, build("next", 100), dark, **budget)
    wait_for(lambda: run_pods(kubectl).get("traffic", {}).get("splitting") == ["next"], "another entry", 90)
    assert kubectl.get("service", NAME)["spec"]["selector"]["fairlead.dev/predictor"] == "next"
    wait_for(lambda: run_pods(kubectl) and f"{NAME}-main" not in names(kubectl, "services"), "main to go", 60)
    assert routes(servers["next"]) == {"dark": (0, 50)}
    assert names(kubectl, "services") == {"", f"{NAME}-next", f"{NAME}-dark"}

    # one alone; what the others leave behind is deleted once it answers at the Service's address
    apply(kubectl, build("next"), **budget)
    address = kubectl.get("service", NAME)["spec"]["clusterIP"]
    with serving_graphs(address, 8080, servers["next"].key):
        wait_for(lambda: run_pods(kubectl) and names(kubectl, "services") == {""}, "a single predictor", 90)
        wait_for(lambda: "traffic" not in run_pods(kubectl), "no split", 30)
    found = {item["metadata"]["name"] for item in kubectl.list("deployments", labels=LABELS)}
    assert found == {f"{NAME}-next"}
