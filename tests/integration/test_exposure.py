"""`spec.expose` on a real API server with the CRDs of the Gateway API and Istio: their controllers are scripted."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import publish_model
from tests.support.api_server import Kubectl, await_crds, condition, wait_for
from tests.support.resources import MODEL_DEPLOYMENT, Object, change
from tests.support.route_crds import read_crds, shorten_crds

NAME = "exposed"
HOST, GRPC_HOST = "digits.example.com", "grpc.example.com"
INGRESS: Object = {
    "hosts": [HOST, "*.digits.example.com"], "grpcHosts": [GRPC_HOST], "tls": {"secretName": "digits-tls"},
    "ingress": {"className": "nginx", "annotations": {"note.example.com/allowed": "a"}},
}  # fmt: skip
PARENT = {"name": "public", "namespace": "infra", "sectionName": "https"}
GATEWAY: Object = {"hosts": [HOST], "grpcHosts": [GRPC_HOST], "gateway": {"parentRefs": [PARENT]}}
ISTIO: Object = {"hosts": [HOST], "grpcHosts": [GRPC_HOST], "istio": {"gateways": ["istio-system/public"]}}
LABELS = f"fairlead.dev/deployment={NAME}"
pytestmark = pytest.mark.usefixtures("operator", "cleaned")


def install(kubectl: Kubectl, *plurals: str) -> Iterator[Kubectl]:
    """Install the CRDs of kinds of routes, and remove them afterwards."""
    crds = read_crds(*plurals)
    for crd in crds:
        kubectl("create", "-f", "-", stdin=json.dumps(crd))
    await_crds(kubectl)
    yield kubectl
    for crd in crds:
        kubectl("delete", "customresourcedefinition", crd["metadata"]["name"])


@pytest.fixture(scope="module")
def gateway_api(kubectl: Kubectl) -> Iterator[Kubectl]:
    yield from install(kubectl, "httproutes", "grpcroutes")


@pytest.fixture(scope="module")
def istio(kubectl: Kubectl) -> Iterator[Kubectl]:
    yield from install(kubectl, "virtualservices")


@pytest.fixture
def expose(kubectl: Kubectl, tmp_path: Path) -> Callable[..., None]:
    """Apply a deployment whose model exists, with spec.expose."""
    model = {"name": "model", "modelUri": publish_model(tmp_path, "model")}

    def run(spec: Object | None, name: str = NAME, **changes: Any) -> None:
        if spec is not None:
            changes["spec__expose"] = spec
        kubectl.apply(change(MODEL_DEPLOYMENT, metadata__name=name, spec__predictors__0__graph=model, **changes))

    return run


def await_exposed(kubectl: Kubectl, reason: str, name: str = NAME) -> Object:
    """Wait for a reason of the condition; return the status. The rest of the status says nothing of the routes."""

    def look() -> Object:
        return condition(kubectl.get("mdep", name), "Exposed")

    wait_for(lambda: look().get("reason") == reason, f"{reason}, not {look()}", 30)
    found = kubectl.get("mdep", name)
    assert condition(found, "Degraded").get("status") != "True", "serving does not suffer from a route"
    return dict(found["status"])


def message(status: Object) -> str:
    return str(condition({"status": status}, "Exposed")["message"])


def await_routes(kubectl: Kubectl, kind: str, count: int) -> list[Object]:
    def look() -> list[Object] | None:
        found = kubectl.list(kind, labels=LABELS)
        return found if len(found) == count else None

    wait_for(lambda: look() is not None, f"{count} of {kind}", 30)
    return sorted(kubectl.list(kind, labels=LABELS), key=lambda route: str(route["metadata"]["name"]))


def accept(kubectl: Kubectl, kind: str, **rejection: str) -> None:
    """Do what the controller of a Gateway does."""
    for route in kubectl.list(kind, labels=LABELS):
        meta = route["metadata"]
        known = {"observedGeneration": meta["generation"], "lastTransitionTime": "2026-03-01T00:00:00Z"}
        conditions = [
            {"type": type_, "status": "True", "reason": type_, "message": ""} | known
            for type_ in ("Accepted", "ResolvedRefs")
        ]
        if rejection:
            conditions[0] |= {"status": "False"} | rejection
        parent = {"parentRef": PARENT, "controllerName": "example.com/gateway", "conditions": conditions}
        kubectl.patch_status(kind, meta["name"], {"parents": [parent]})


def test_an_ingress_is_written_and_read_back_and_repaired(kubectl: Kubectl, expose: Callable[..., None]) -> None:
    expose(INGRESS)
    await_exposed(kubectl, "RoutePending")
    rest, grpc = await_routes(kubectl, "ingresses", 2)
    assert [rule["host"] for rule in rest["spec"]["rules"]] == [HOST, "*.digits.example.com"]
    backends = {path["backend"]["service"]["port"]["name"] for path in rest["spec"]["rules"][0]["http"]["paths"]}
    assert backends == {"http"}
    assert grpc["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"] == {
        "name": NAME,
        "port": {"name": "grpc"},
    }
    assert rest["metadata"]["annotations"]["note.example.com/allowed"] == "a"
    assert rest["metadata"]["ownerReferences"][0]["name"] == NAME
    for route in (rest, grpc):
        balancer = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
        kubectl.patch_status("ingress", route["metadata"]["name"], balancer)
    status = await_exposed(kubectl, "RouteAccepted")
    assert status["exposure"]["urls"] == [f"https://{HOST}", "https://*.digits.example.com"]
    assert status["url"] == f"http://{NAME}.default.svc:8080", "the URL inside is what it was"
    elsewhere = json.dumps([{"op": "replace", "path": "/spec/rules/0/host", "value": "elsewhere.example.org"}])
    kubectl("patch", "ingress", NAME, "--type", "json", "-p", elsewhere)
    wait_for(lambda: kubectl.get("ingress", NAME)["spec"]["rules"][0]["host"] == HOST, "the repaired host", 30)
    kubectl("delete", "ingress", NAME)
    wait_for(lambda: kubectl.get("ingress", NAME), "the Ingress, which is desired", 30)


def test_what_the_administrator_does_not_allow_is_not_written(kubectl: Kubectl, expose: Callable[..., None]) -> None:
    snippet = {"ingress": {"annotations": {"nginx.ingress.kubernetes.io/server-snippet": "return 200;"}}}
    expose(INGRESS | snippet)
    assert "server-snippet" in message(await_exposed(kubectl, "AnnotationNotAllowed"))
    expose({"hosts": ["digits.example.org"], "ingress": {}})
    assert "spec.expose.hosts[0]: got digits.example.org" in message(await_exposed(kubectl, "HostNotAllowed"))
    assert kubectl.list("ingresses", labels=LABELS) == []


def test_a_host_belongs_to_the_deployment_that_had_it_first(kubectl: Kubectl, expose: Callable[..., None]) -> None:
    plain = {"hosts": [HOST], "ingress": {}}
    expose(plain)
    await_exposed(kubectl, "RoutePending")
    kubectl("create", "namespace", "neighbors")
    other = change(MODEL_DEPLOYMENT, metadata__name=NAME, metadata__namespace="neighbors", spec__expose=plain)
    other["spec"]["predictors"] = kubectl.get("mdep", NAME)["spec"]["predictors"]
    kubectl.apply(other)

    def reason() -> str | None:
        return condition(kubectl.get("mdep", NAME, "neighbors"), "Exposed").get("reason")

    wait_for(lambda: reason() == "HostTaken", "the second deployment to wait", 30)
    assert kubectl.list("ingresses", "neighbors") == []
    expose(None)
    wait_for(lambda: reason() == "RoutePending", "the second deployment to get the host", 30)
    assert kubectl.list("ingresses", labels=LABELS) == []
    assert "exposure" not in kubectl.get("mdep", NAME)["status"]
    kubectl("delete", "namespace", "neighbors", "--wait=false")


def test_a_gateway_that_is_installed_later_is_noticed_and_its_words_are_read_back(
    kubectl: Kubectl, expose: Callable[..., None], request: pytest.FixtureRequest
) -> None:
    expose(GATEWAY)
    assert "no HTTPRoute of gateway.networking.k8s.io/v1" in message(await_exposed(kubectl, "RouteKindMissing"))
    request.getfixturevalue("gateway_api")
    await_exposed(kubectl, "RoutePending")
    (rest,), (grpc,) = await_routes(kubectl, "httproutes", 1), await_routes(kubectl, "grpcroutes", 1)
    assert rest["spec"]["hostnames"] == [HOST]
    assert (rest["spec"]["rules"][0]["backendRefs"][0]["port"], grpc["spec"]["rules"][0]["backendRefs"][0]["port"]) == (
        8080, 8081,
    )  # fmt: skip
    accept(kubectl, "httproutes")
    accept(kubectl, "grpcroutes", reason="NotAllowedByListeners", message="no GRPCRoute here")
    assert "(NotAllowedByListeners): no GRPCRoute here" in message(await_exposed(kubectl, "RouteRejected"))
    accept(kubectl, "grpcroutes")
    status = await_exposed(kubectl, "RouteAccepted")
    assert status["exposure"] == {"kinds": ["HTTPRoute", "GRPCRoute"], "hosts": [HOST, GRPC_HOST], "urls": []}
    before = [kubectl.get(kind, route["metadata"]["name"])["metadata"]["resourceVersion"]
              for kind, route in (("httproute", rest), ("grpcroute", grpc))]  # fmt: skip
    # what the CRDs have added is no change of somebody else's
    kubectl("annotate", "mdep", NAME, "note=a")
    expose(GATEWAY)
    await_exposed(kubectl, "RouteAccepted")
    after = [kubectl.get(kind, route["metadata"]["name"])["metadata"]["resourceVersion"]
             for kind, route in (("httproute", rest), ("grpcroute", grpc))]  # fmt: skip
    assert after == before


def test_another_way_to_expose_replaces_the_routes(
    gateway_api: Kubectl, istio: Kubectl, expose: Callable[..., None]
) -> None:
    expose(GATEWAY)
    await_routes(gateway_api, "httproutes", 1)
    expose(ISTIO)
    assert "exists" in message(await_exposed(istio, "RouteAccepted"))
    await_routes(gateway_api, "httproutes", 0)
    await_routes(gateway_api, "grpcroutes", 0)

    def list_kinds() -> list[str]:
        return list(istio.get("mdep", NAME)["status"]["exposure"]["kinds"])

    # what is being deleted keeps its hosts until it is gone
    wait_for(lambda: list_kinds() == ["VirtualService"], "the status without the earlier routes", 30)
    rest, grpc = await_routes(istio, "virtualservices", 2)
    assert rest["spec"]["gateways"] == ["istio-system/public"]
    assert grpc["spec"]["http"][0]["route"][0]["destination"] == {"host": NAME, "port": {"number": 8081}}
    expose(None)
    await_routes(istio, "virtualservices", 0)
    wait_for(lambda: "exposure" not in istio.get("mdep", NAME)["status"], "nothing to be said of routes", 30)


def test_a_route_that_the_api_server_rejects_leaves_what_serves(
    kubectl: Kubectl, gateway_api: Kubectl, expose: Callable[..., None]
) -> None:
    # the CRD asks for a listener of each, if a Gateway is named twice
    expose({"hosts": [HOST], "gateway": {"parentRefs": [{"name": "public"}, {"name": "public", "sectionName": "a"}]}})
    assert "sectionName" in message(await_exposed(kubectl, "Rejected"))
    assert kubectl.get("deployment", f"{NAME}-main"), "what serves is created all the same"
    expose({"hosts": [HOST], "gateway": {"parentRefs": [{"name": "public"}]}})
    await_exposed(kubectl, "RoutePending")


def test_the_shortened_crds_are_those_of_the_releases() -> None:
    folders = os.environ.get("FAIRLEAD_ROUTE_CRDS", "").split(os.pathsep)
    if len(folders) != 2:
        pytest.skip(
            "FAIRLEAD_ROUTE_CRDS does not name the folders of the Go modules, of whose CRDs ours are short forms"
        )
    assert shorten_crds(*map(Path, folders)) == read_crds("httproutes", "grpcroutes", "virtualservices")
