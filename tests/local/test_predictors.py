"""Predictors on the local cluster under load: sticky clients, a shadow that differs, and weights that change."""

import json
from collections.abc import Callable

from tests.local.support import LocalCluster
from tests.support import onnx_models as onnx
from tests.support.api_server import condition, wait_for
from tests.support.clients import Clients
from tests.support.resources import MODEL_DEPLOYMENT, Object, change

NAME = "shared"
ALIKE, DIFFERENT = (3, 3, 3), (1, 2, 4)
"""Rows whose largest number is at the same place in the opposite of them, and at another one."""


def predictor(name: str, uri: str, **fields: object) -> Object:
    return {"name": name, "graph": {"name": "model", "modelUri": uri}, **fields}


def apply(cluster: LocalCluster, *predictors: Object, sticky: bool = True) -> None:
    stickiness = {"spec__stickiness": {"header": "X-User"}} if sticky else {}
    cluster.apply(change(MODEL_DEPLOYMENT, metadata__name=NAME, spec__predictors=list(predictors), **stickiness))


def status_of(cluster: LocalCluster) -> dict[str, Object]:
    """Return the status of each predictor."""
    return {each["name"]: each for each in cluster.get("mdep", NAME).get("status", {}).get("predictors", [])}


def wait_for_traffic(cluster: LocalCluster, **weights: int) -> None:
    """Wait until a split is in force, and the deployment is ready."""

    def in_force() -> bool:
        found = {name: each.get("trafficConfirmed") for name, each in status_of(cluster).items()}
        return found == weights and condition(cluster.get("mdep", NAME), "Ready").get("status") == "True"

    try:
        wait_for(in_force, f"{weights} to be in force", 180)
    except AssertionError:
        print(cluster.kubectl("get", "mdep", NAME, "-o", "yaml"))
        print(cluster.kubectl("get", "pods", "-o", "wide"))
        raise


def test_predictors_share_the_requests_and_weights_change_without_a_failed_one(
    fairlead: LocalCluster, store: Callable[[str, bytes], str]
) -> None:
    main = predictor("main", store("main", onnx.scale(2.0, ["n", 3])))
    following = predictor("next", store("next", onnx.scale(3.0, ["n", 3])))
    dark = predictor("dark", store("dark", onnx.scale(-1.0, ["n", 3])), shadow={"percent": 100})
    apply(fairlead, main | {"traffic": 70}, following | {"traffic": 30}, dark)
    wait_for_traffic(fairlead, main=70, next=30, dark=0)
    address = fairlead.get("service", NAME)["spec"]["clusterIP"]
    with Clients(address, NAME, (ALIKE, DIFFERENT), users=4) as clients:
        # half of the rows have another answer from the shadow, and the status says so
        wait_for(lambda: status_of(fairlead)["dark"].get("measured", {}).get("compared", 0) >= 100, "copies", 120)
        measured = {name: each["measured"] for name, each in status_of(fairlead).items()}
        assert 0.4 < measured["dark"]["agreed"] / measured["dark"]["compared"] < 0.6
        assert measured["dark"]["maxDistance"] == 12
        assert (measured["main"]["errors"], measured["next"]["errors"]) == (0, 0)
        assert measured["next"]["requests"] > 0
        # a client stays where it is
        assert all(len(set(routes)) == 1 for routes in clients.routes.values())
        assert {routes[0] for routes in clients.routes.values()} == {"main", "next"}
        assert set(clients.answers) == {"[6.0, 6.0, 6.0]", "[2.0, 4.0, 8.0]", "[9.0, 9.0, 9.0]", "[3.0, 6.0, 12.0]"}

        stayed = {user for user, routes in clients.routes.items() if routes[-1] == "next"}
        pods = {pod["metadata"]["uid"] for pod in fairlead.list("pods", f"fairlead.dev/deployment={NAME}")}
        weights = [
            {"op": "replace", "path": f"/spec/predictors/{at}/traffic", "value": v} for at, v in ((0, 5), (1, 95))
        ]
        fairlead.kubectl("patch", "mdep", NAME, "--type", "json", "-p", json.dumps(weights))
        wait_for_traffic(fairlead, main=5, next=95, dark=0)
        clients.routes.clear()
        wait_for(lambda: len(clients.routes) == 32 and min(map(len, list(clients.routes.values()))) > 2, "users", 60)
        moved = {user for user, routes in clients.routes.items() if set(routes[1:]) == {"next"}}
        assert moved > stayed, "clients only move to the predictor that gets more"
        assert {pod["metadata"]["uid"] for pod in fairlead.list("pods", f"fairlead.dev/deployment={NAME}")} == pods

        # the other one takes over, and the first one goes
        apply(fairlead, following, dark, sticky=False)
        wait_for_traffic(fairlead, next=100, dark=0)
        wait_for(lambda: "main" not in fairlead.kubectl("get", "deployments", "-o", "name"), "main to go", 90)
    assert clients.failed == [], fairlead.kubectl("get", "mdep", NAME, "-o", "yaml")
