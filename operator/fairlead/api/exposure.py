"""How requests from outside of the cluster reach a ModelDeployment."""

from typing import Annotated, ClassVar

from pydantic import Field

from fairlead.api.base import ATOMIC_MAP, ApiModel, Rule, StatusModel
from fairlead.api.serving_auth import SECRET_NAME

_LABEL = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
HOST = rf"^(\*\.)?({_LABEL}\.)+[a-z]([-a-z0-9]{{0,61}}[a-z0-9])?$"
"""A DNS name of several labels that is no address; `*` may be its first label."""
_OBJECT_NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
_ISTIO_GATEWAY = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
"""With its namespace: the word `mesh`, by which Istio means all sidecars of the cluster, is none."""

Host = Annotated[str, Field(max_length=253, pattern=HOST)]
Annotation = Annotated[str, Field(max_length=1024)]

MAX_HOSTS = 16


def _distinct(alias: str, name: str) -> Rule:
    """Return the rule that a list has no element twice."""
    return Rule(
        f"!has(self.{alias}) || self.{alias}.all(one, self.{alias}.exists_one(other, other == one))",
        f"{alias}: expected no two that are equal",
        lambda model: len(set(getattr(model, name))) == len(getattr(model, name)),
        field=f".{alias}",
    )


class IngressTls(ApiModel):
    """The certificate of an Ingress's hosts."""

    secret_name: str = Field(max_length=253, pattern=SECRET_NAME)
    """A Secret of type kubernetes.io/tls in the deployment's namespace."""


class IngressRoute(ApiModel):
    """An Ingress for REST and, with grpcHosts, another one for gRPC."""

    class_name: str | None = Field(None, max_length=253, pattern=_OBJECT_NAME)
    """The IngressClass; the cluster's default one if unset."""
    annotations: dict[str, Annotation] = Field({}, max_length=32, json_schema_extra=ATOMIC_MAP)
    """Annotations for the Ingress's controller, of the keys that the administrator allows."""
    grpc_annotations: dict[str, Annotation] = Field({}, max_length=32, json_schema_extra=ATOMIC_MAP)
    """Further annotations of the Ingress for gRPC, such as the one by which a controller speaks HTTP/2 to the pods."""


class GatewayRef(ApiModel):
    """A Gateway, whose listeners decide who may attach a route."""

    name: str = Field(max_length=253, pattern=_OBJECT_NAME)
    """The name of the Gateway."""
    namespace: str | None = Field(None, max_length=63, pattern=rf"^{_LABEL}$")
    """The namespace of the Gateway; the deployment's if unset."""
    section_name: str | None = Field(None, max_length=253, pattern=_OBJECT_NAME)
    """A listener of the Gateway; all that match if unset."""


class GatewayRoute(ApiModel):
    """An HTTPRoute for REST and, with grpcHosts, a GRPCRoute for gRPC."""

    cel: ClassVar[tuple[Rule, ...]] = (_distinct("parentRefs", "parent_refs"),)

    parent_refs: list[GatewayRef] = Field(min_length=1, max_length=8)
    """The Gateways that the routes attach to."""


class IstioRoute(ApiModel):
    """A VirtualService for REST and, with grpcHosts, another one for gRPC."""

    cel: ClassVar[tuple[Rule, ...]] = (_distinct("gateways", "gateways"),)

    gateways: list[Annotated[str, Field(max_length=317, pattern=_ISTIO_GATEWAY)]] = Field(min_length=1, max_length=8)
    """Istio's Gateways, as namespace/name."""


class Exposure(ApiModel):
    """Routes from outside of the cluster to the deployment's Service, for the paths of the protocols for clients alone.

    A route changes nothing about how the pods serve; whether it is accepted is the condition Exposed.
    """

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "[has(self.ingress), has(self.gateway), has(self.istio)].filter(each, each).size() == 1",
            "expose: expected exactly one of ingress, gateway and istio",
            lambda expose: sum(each is not None for each in (expose.ingress, expose.gateway, expose.istio)) == 1,
        ),
        Rule(
            "!has(self.tls) || has(self.ingress)",
            "tls: expected none without ingress, because a Gateway's listeners have their own",
            lambda expose: expose.tls is None or expose.ingress is not None,
            field=".tls",
        ),
        Rule(
            "!has(self.grpcHosts) || !self.grpcHosts.exists(host, host in self.hosts)",
            "grpcHosts: expected other names than hosts, of which a Gateway accepts routes of one kind alone",
            lambda expose: not set(expose.grpc_hosts) & set(expose.hosts),
            field=".grpcHosts",
        ),
        _distinct("hosts", "hosts"),
        _distinct("grpcHosts", "grpc_hosts"),
    )

    hosts: list[Host] = Field(min_length=1, max_length=MAX_HOSTS)
    """The DNS names for REST, of those that the administrator allows the namespace. Only the first label may be `*`."""
    grpc_hosts: list[Host] = Field([], max_length=MAX_HOSTS)
    """The DNS names for gRPC, likewise; gRPC is not exposed without any."""
    tls: IngressTls | None = None
    """The certificate of an Ingress; without it, its controller decides. Gateways have their own."""
    ingress: IngressRoute | None = None
    """Writes Ingresses."""
    gateway: GatewayRoute | None = None
    """Writes routes of the Gateway API."""
    istio: IstioRoute | None = None
    """Writes VirtualServices of Istio."""


EXPOSURE_RULES = (
    Rule(
        "self.engine != 'Seldon' || !has(self.expose)",
        "expose: expected none with engine Seldon, whose own ingress splits the traffic between predictors",
        lambda spec: spec.engine != "Seldon" or spec.expose is None,
        field=".expose",
    ),
)


class ExposureStatus(StatusModel):
    """The routes that exist, or are about to."""

    kinds: tuple[str, ...] = ()
    """Their kinds."""
    hosts: tuple[str, ...] = ()
    """Their DNS names, which no other ModelDeployment gets meanwhile."""
    urls: tuple[str, ...] = ()
    """The URLs of an Ingress that is accepted. Whether a Gateway's are of http or https is known to its listeners."""
