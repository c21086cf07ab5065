"""What keeps a deployment's routes from being written: the administrator, another deployment, or the cluster."""

from collections.abc import Iterable

from fairlead.api.exposure import Exposure, IngressRoute
from fairlead.api.model_deployment import ModelDeployment
from fairlead.core.conditions import Finding, shorten
from fairlead.core.model_deployment.claims import Claim, find_taken
from fairlead.core.model_deployment.exposure_build import GRPC_ROUTE, HTTP_ROUTE, INGRESS, VIRTUAL_SERVICE
from fairlead.core.model_deployment.observed import ObservedRoutes
from fairlead.core.settings import Settings
from fairlead.core.tenants import is_allowed_host
from fairlead.core.views import RouteView

_MAX_KEY = 317
"""The length of a valid key, with its prefix."""
_PROVIDERS = {
    INGRESS: "networking.k8s.io/v1: expected a Kubernetes that serves it",
    HTTP_ROUTE: "gateway.networking.k8s.io/v1: expected the Gateway API to be installed",
    GRPC_ROUTE: "gateway.networking.k8s.io/v1: expected the Gateway API to be installed",
    VIRTUAL_SERVICE: "networking.istio.io/v1: expected Istio to be installed",
}


def check_allowed(deployment: ModelDeployment, expose: Exposure, settings: Settings) -> Finding | None:
    """Find what the administrator does not allow, so that only a new spec helps."""
    annotations = _list_annotations(expose.ingress or IngressRoute())
    return check_hosts(settings, deployment.metadata.namespace, _list_hosts(expose)) or check_annotations(
        settings, annotations
    )


def check_obstacles(deployment: ModelDeployment, expose: Exposure, observed: ObservedRoutes) -> Finding | None:
    """Find what keeps the routes from being written until something else changes."""
    return _check_taken(deployment, expose, observed.claims) or check_access(observed, list_kinds(expose))


def check_access(observed: ObservedRoutes, kinds: Iterable[str]) -> Finding | None:
    """Find a kind whose routes cannot be read."""
    refused = {kind: observed.refusals[kind] for kind in kinds if observed.refusals.get(kind)}
    for kind, refusal in refused.items():
        if refusal == "missing":
            return Finding("RouteKindMissing", f"The cluster has no {kind} of {_PROVIDERS[kind]}.")
        if refusal == "forbidden":
            return Finding("RouteForbidden", f"The operator may not list {kind}s: expected a Role that allows it.")
        return Finding("RouteUnreadable", f"The {kind}s could not be listed yet: the operator tries again.")
    return None


def may_stay(deployment: ModelDeployment, view: RouteView, observed: ObservedRoutes, settings: Settings) -> bool:
    """Return whether a route of an earlier spec would be allowed now."""
    hosts = [("", host) for host in view.hosts]
    annotations = [("", key) for key in view.annotations] if view.kind == INGRESS else []
    return not (
        check_hosts(settings, deployment.metadata.namespace, hosts)
        or check_annotations(settings, annotations)
        or find_taken(deployment, view.hosts, observed.claims)
    )


def list_kinds(expose: Exposure | None) -> tuple[str, ...]:
    """Return the kinds of the routes that a spec asks for."""
    if expose is None:
        return ()
    if expose.gateway:
        return (HTTP_ROUTE, GRPC_ROUTE) if expose.grpc_hosts else (HTTP_ROUTE,)
    return (INGRESS,) if expose.ingress else (VIRTUAL_SERVICE,)


def check_hosts(settings: Settings, namespace: str, hosts: Iterable[tuple[str, str]]) -> Finding | None:
    """Find a DNS name that a namespace's routes may not have, from (field, name) pairs."""
    for field, host in hosts:
        if not is_allowed_host(settings, namespace, host):
            expected = f"expected one of the hosts that the administrator allows namespace {namespace}"
            return Finding("HostNotAllowed", f"{field}: got {host}, {expected}.")
    return None


def check_annotations(settings: Settings, annotations: Iterable[tuple[str, str]]) -> Finding | None:
    """Find an annotation that an Ingress may not have, from (field, key) pairs: some of them run code."""
    for field, key in annotations:
        if key not in settings.allowed_annotations:
            # a key is not bounded, as a host is
            found, expected = shorten(key, _MAX_KEY), "expected one that the administrator allows"
            return Finding("AnnotationNotAllowed", f"{field}: got {found}, {expected}.")
    return None


def _list_hosts(expose: Exposure) -> list[tuple[str, str]]:
    hosts = [(f"spec.expose.hosts[{at}]", host) for at, host in enumerate(expose.hosts)]
    return hosts + [(f"spec.expose.grpcHosts[{at}]", host) for at, host in enumerate(expose.grpc_hosts)]


def _list_annotations(ingress: IngressRoute) -> list[tuple[str, str]]:
    path = "spec.expose.ingress"
    keys = [(f"{path}.annotations", key) for key in ingress.annotations]
    return keys + [(f"{path}.grpcAnnotations", key) for key in ingress.grpc_annotations]


def _check_taken(deployment: ModelDeployment, expose: Exposure, claims: tuple[Claim, ...]) -> Finding | None:
    """Find a host of another deployment. Those of other namespaces are not named: they may be none of the user's."""
    for host, claim in find_taken(deployment, (*expose.hosts, *expose.grpc_hosts), claims).items():
        same = claim.namespace == deployment.metadata.namespace
        other = f"ModelDeployment {claim.name}" if same else "a ModelDeployment of another namespace"
        return Finding("HostTaken", f"{host}: {other} exposes it already; expected a host that no other one has.")
    return None
