"""The routes from outside of the cluster. All lead to the deployment's own Service, so that what splits its traffic and
asks for API keys is where it was.

They name the paths of the protocols for clients, and no others: the metrics, what the operator asks the servers, and
Seldon's microservice API stay inside.
"""

from collections.abc import Sequence
from typing import Any

from fairlead.api.exposure import Exposure, GatewayRef, IngressRoute
from fairlead.api.model_deployment import ModelDeployment
from fairlead.core import names
from fairlead.core.children import Object, build_owned, with_hash

INGRESS, HTTP_ROUTE, GRPC_ROUTE, VIRTUAL_SERVICE = "Ingress", "HTTPRoute", "GRPCRoute", "VirtualService"
ROUTE_KINDS = (INGRESS, HTTP_ROUTE, GRPC_ROUTE, VIRTUAL_SERVICE)

REST_PATHS = ("/v2", "/api/v1.0", "/api/v0.1", "/v1/models")
"""Of the Open Inference Protocol, Seldon and TensorFlow Serving; a path of a route is also what lies below it."""
GRPC_SERVICES = ("inference.GRPCInferenceService", "seldon.protos.Seldon")


def build_routes(deployment: ModelDeployment) -> list[Object]:
    """Return the routes that the spec asks for, each annotated with its hash."""
    expose = deployment.spec.expose
    if expose is None:
        return []
    build = _build_ingress if expose.ingress else _build_route if expose.gateway else _build_virtual_service
    routes = [build(deployment, expose, False)]
    if expose.grpc_hosts:
        routes.append(build(deployment, expose, True))
    return [with_hash(route) for route in routes]


def _build_ingress(deployment: ModelDeployment, expose: Exposure, grpc: bool) -> Object:
    ingress, hosts = expose.ingress or IngressRoute(), _hosts(expose, grpc)
    service = {"name": deployment.metadata.name, "port": {"name": "grpc" if grpc else "http"}}
    paths = [
        {"path": path, "pathType": "Prefix", "backend": {"service": service}}
        for path in (tuple(f"/{name}" for name in GRPC_SERVICES) if grpc else REST_PATHS)
    ]
    spec: dict[str, Any] = {"rules": [{"host": host, "http": {"paths": paths}} for host in hosts]}
    if ingress.class_name is not None:
        spec["ingressClassName"] = ingress.class_name
    if expose.tls:
        spec["tls"] = [{"hosts": hosts, "secretName": expose.tls.secret_name}]
    head = _build_head(deployment, "networking.k8s.io/v1", INGRESS, grpc)
    if annotations := ingress.annotations | (ingress.grpc_annotations if grpc else {}):
        head["metadata"]["annotations"] = annotations
    return head | {"spec": spec}


def _build_route(deployment: ModelDeployment, expose: Exposure, grpc: bool) -> Object:
    matches: Sequence[Object] = (
        [{"method": {"type": "Exact", "service": name}} for name in GRPC_SERVICES]
        if grpc
        else [{"path": {"type": "PathPrefix", "value": path}} for path in REST_PATHS]
    )
    backend = {"name": deployment.metadata.name, "port": _port(grpc)}
    refs = expose.gateway.parent_refs if expose.gateway else []
    spec = {
        "parentRefs": [_build_parent(ref) for ref in refs],
        "hostnames": _hosts(expose, grpc),
        "rules": [{"matches": matches, "backendRefs": [backend]}],
    }
    kind = GRPC_ROUTE if grpc else HTTP_ROUTE
    return _build_head(deployment, "gateway.networking.k8s.io/v1", kind, grpc) | {"spec": spec}


def _build_virtual_service(deployment: ModelDeployment, expose: Exposure, grpc: bool) -> Object:
    # Istio's prefixes are of texts, not of paths
    paths = [f"/{name}/" for name in GRPC_SERVICES] if grpc else REST_PATHS
    # a name without a dot is one of the VirtualService's namespace
    destination = {"host": deployment.metadata.name, "port": {"number": _port(grpc)}}
    spec = {
        "hosts": _hosts(expose, grpc),
        "gateways": list(expose.istio.gateways) if expose.istio else [],
        "http": [
            {
                "match": [{"uri": {"prefix": path}} for path in paths],
                "route": [{"destination": destination}],
            }
        ],
    }
    return _build_head(deployment, "networking.istio.io/v1", VIRTUAL_SERVICE, grpc) | {"spec": spec}


def _build_parent(ref: GatewayRef) -> Object:
    return ref.model_dump(by_alias=True, exclude_none=True)


def _build_head(deployment: ModelDeployment, api_version: str, kind: str, grpc: bool) -> Object:
    name = names.grpc_route_name(deployment) if grpc else deployment.metadata.name
    return build_owned(deployment, api_version, kind, name, names.deployment_labels(deployment))


def _hosts(expose: Exposure, grpc: bool) -> list[str]:
    return list(expose.grpc_hosts if grpc else expose.hosts)


def _port(grpc: bool) -> int:
    return names.GRPC_PORT if grpc else names.SERVING_PORT
