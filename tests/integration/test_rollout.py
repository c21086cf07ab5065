"""Rollouts on a real API server: the operator is a process, the graph servers are scripted, and no kubelet runs."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fairlead.client import FairleadClient
from fairlead_contracts.traffic import BOUNDS, Counts

from tests.integration.conftest import POD_ADDRESS, Operator, publish_model
from tests.support.api_server import Kubectl, condition, wait_for
from tests.support.graph_servers import ScriptedServer, read_traffic_key, serving_graphs
from tests.support.prometheus import ScriptedPrometheus
from tests.support.resources import MODEL_DEPLOYMENT, ROLLOUT, Object, change

NAME = "rolled"
LABELS = f"fairlead.dev/deployment={NAME}"
FAST = {
    "spec__rollout__steps": [{"traffic": 10, "seconds": 0}, {"traffic": 50, "seconds": 1}],
    "spec__rollout__analysis__intervalSeconds": 1,
    "spec__rollout__analysis__maxErrorRate": 0.2,
}

pytestmark = pytest.mark.usefixtures("cleaned")


@pytest.fixture
def servers(kubectl: Kubectl) -> Iterator[ScriptedServer]:
    """The graph servers of the stable revision: all pods have one address."""

    with serving_graphs(POD_ADDRESS, 8080, partial(read_traffic_key, kubectl, NAME)) as server:
        yield server


def apply(kubectl: Kubectl, uri: str, rollout: bool = True, **changes: Any) -> None:
    graph = {"name": "model", "modelUri": uri}
    obj = change(MODEL_DEPLOYMENT, metadata__name=NAME, spec__predictors__0__graph=graph)
    if rollout:
        obj = change(change(obj, spec__rollout=ROLLOUT), **FAST)
    kubectl.apply(change(obj, **changes))


def status_of(kubectl: Kubectl) -> Object:
    return dict(kubectl.get("mdep", NAME).get("status") or {})


def run_pods(kubectl: Kubectl) -> Object:
    """Do what kubelets do, and return the deployment's status."""
    kubectl.run_pods(LABELS, lambda _: POD_ADDRESS)
    return status_of(kubectl)


def wait_for_stable(kubectl: Kubectl, servers: ScriptedServer, other_than: str = "") -> str:
    def look() -> str:
        revision = str(run_pods(kubectl).get("stableRevision", ""))
        return revision if revision != other_than else ""

    servers.revision = wait_for(look, "a stable revision", 60)
    return servers.revision


def deployments(kubectl: Kubectl) -> set[str]:
    return {item["metadata"]["name"] for item in kubectl.list("deployments", labels=LABELS)}


def events(kubectl: Kubectl) -> dict[str, str]:
    found = kubectl.list("events.events.k8s.io")
    return {event["reason"]: event["note"] for event in found if event["regarding"].get("name") == NAME}


def test_a_good_candidate_becomes_the_stable_revision(
    kubectl: Kubectl, operator: Operator, servers: ScriptedServer, tmp_path: Path
) -> None:
    servers.counts = Counts(requests=200, latency=(200, *(0 for _ in BOUNDS)))
    apply(kubectl, publish_model(tmp_path, "v1"))
    first = wait_for_stable(kubectl, servers)
    apply(kubectl, publish_model(tmp_path, "v2"))
    second = wait_for_stable(kubectl, servers, first)
    service = kubectl.get("service", NAME)
    wait_for(lambda: kubectl.get("service", NAME)["spec"]["selector"]["fairlead.dev/revision"] == second, "the Service")
    wait_for(lambda: run_pods(kubectl) and deployments(kubectl) == {f"{NAME}-{second}"}, "the earlier one to go", 45)
    assert service["spec"]["clusterIP"] == kubectl.get("service", NAME)["spec"]["clusterIP"]
    assert {item["metadata"]["name"] for item in kubectl.list("services", labels=LABELS)} == {NAME, f"{NAME}-{second}"}
    records = kubectl.list("controllerrevisions", labels=LABELS)
    assert {item["metadata"]["name"]: item["revision"] for item in records} == {
        f"{NAME}-{first}": 1, f"{NAME}-{second}": 2,
    }  # fmt: skip
    assert "0 of 200 failed" in events(kubectl)["Promoted"]
    wait_for(lambda: servers.document and not servers.document.routes, "no routes")
    assert kubectl.get("mdep", NAME)["spec"]["predictors"][0]["graph"]["modelUri"].endswith("v2")


def test_a_bad_candidate_is_rolled_back_and_the_spec_stays(
    kubectl: Kubectl, operator: Operator, servers: ScriptedServer, tmp_path: Path
) -> None:
    servers.counts = Counts(requests=200, errors=100, latency=(200, *(0 for _ in BOUNDS)))
    apply(kubectl, publish_model(tmp_path, "v1"))
    first = wait_for_stable(kubectl, servers)
    apply(kubectl, publish_model(tmp_path, "v2"))
    failed = wait_for(lambda: run_pods(kubectl).get("rollout", {}).get("failedRevision"), "a rollback", 60)
    wait_for(lambda: deployments(kubectl) == {f"{NAME}-{first}"}, "the candidate to go", 45)
    found = kubectl.get("mdep", NAME)
    assert found["status"]["stableRevision"] == first
    assert found["spec"]["predictors"][0]["graph"]["modelUri"].endswith("v2")
    assert condition(found, "Stalled")["status"] == "True"
    assert condition(found, "Ready")["reason"] == "RolledBack"
    assert "100 of 200 failed" in events(kubectl)["AnalysisFailed"]
    assert kubectl.get("service", NAME)["spec"]["selector"]["fairlead.dev/revision"] == first
    # a user tries it again, and it is good now
    servers.counts = Counts(requests=200, latency=(200, *(0 for _ in BOUNDS)))
    assert FairleadClient("default", kubeconfig=kubectl.kubeconfig).command_rollout(NAME, "retry") == failed
    assert wait_for_stable(kubectl, servers, first) == failed


def test_a_candidate_whose_query_is_over_its_limit_is_rolled_back(
    kubectl: Kubectl, operator: Operator, prometheus: ScriptedPrometheus, servers: ScriptedServer, tmp_path: Path
) -> None:
    servers.counts, prometheus.value = Counts(requests=200, latency=(200, *(0 for _ in BOUNDS))), 11
    query = {"name": "memory", "query": 'max(bytes{pod=~"$(candidate)-.*"})', "max": 10}
    limits = {"spec__rollout__analysis__queries": [query]}
    apply(kubectl, publish_model(tmp_path, "v1"), **limits)
    first = wait_for_stable(kubectl, servers)
    apply(kubectl, publish_model(tmp_path, "v2"), **limits)
    failed = wait_for(lambda: run_pods(kubectl).get("rollout", {}).get("failedRevision"), "a rollback", 60)
    status = status_of(kubectl)
    assert status["stableRevision"] == first
    assert "memory is 11 (at most 10 allowed)" in status["rollout"]["message"]
    assert set(prometheus.queries) == {f'max(bytes{{pod=~"{NAME}-{failed}-.*"}})'}


def test_a_deployment_from_before_is_adopted(
    kubectl: Kubectl, operator: Operator, servers: ScriptedServer, tmp_path: Path
) -> None:
    uri = publish_model(tmp_path, "v1")
    apply(kubectl, uri, rollout=False)
    ready = f"{NAME}-main"
    wait_for(
        lambda: run_pods(kubectl) and kubectl.get("deployment", ready).get("status", {}).get("readyReplicas"), "pods"
    )
    apply(kubectl, uri)
    revision = wait_for_stable(kubectl, servers)
    wait_for(lambda: deployments(kubectl) == {f"{NAME}-{revision}"}, "the earlier one to go", 45)
    selector = kubectl.get("service", NAME)["spec"]["selector"]
    assert selector["fairlead.dev/revision"] == revision
