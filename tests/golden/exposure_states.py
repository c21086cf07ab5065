"""Deployments with `expose` in each of the states of their routes."""

from dataclasses import dataclass, field, replace
from typing import Any

from fairlead.api.model_deployment import ModelDeployment
from fairlead.core import names
from fairlead.core.conditions import Rejection
from fairlead.core.model_deployment.claims import Claim
from fairlead.core.model_deployment.exposure_build import build_routes
from fairlead.core.model_deployment.observed import ObservedDeployment, ObservedRoutes
from fairlead.core.settings import Settings
from fairlead.core.views import ChildView, ParentView, ReportView, RouteView

from tests.golden.rollout_states import STATES
from tests.golden.split_states import SPLIT_STATES
from tests.support.resources import Object, make_deployment

SETTINGS = Settings(
    route_hosts="default=*.example.com, other=*",
    ingress_annotations="nginx.ingress.kubernetes.io/backend-protocol,cert-manager.io/cluster-issuer",
)
HOST, GRPC_HOST = "digits.example.com", "grpc.digits.example.com"
INGRESS: Object = {
    "hosts": [HOST, "*.digits.example.com"], "grpcHosts": [GRPC_HOST], "tls": {"secretName": "digits-tls"},
    "ingress": {
        "className": "nginx", "annotations": {"cert-manager.io/cluster-issuer": "letters"},
        "grpcAnnotations": {"nginx.ingress.kubernetes.io/backend-protocol": "GRPC"},
    },
}  # fmt: skip
PLAIN: Object = {"hosts": [HOST], "ingress": {}}
REFS = [{"name": "public", "namespace": "infra", "sectionName": "https"}, {"name": "inner"}]
GATEWAY: Object = {"hosts": [HOST], "grpcHosts": [GRPC_HOST], "gateway": {"parentRefs": REFS}}
HTTP_ONLY: Object = {"hosts": [HOST], "gateway": {"parentRefs": REFS[:1]}}
ISTIO: Object = {"hosts": [HOST], "grpcHosts": [GRPC_HOST], "istio": {"gateways": ["istio-system/public"]}}
OTHER = Claim("other", "digits", "2026-02-01T00:00:00Z", (HOST,))
YOUNGER = replace(OTHER, created="2026-04-01T00:00:00Z")
NEIGHBOR = replace(OTHER, namespace="default", name="letters")
EARLIER = "2026-02-01T00:00:00Z"


@dataclass(frozen=True)
class Exposed:
    """A state of the routes: its reason, and what is seen of them beside a deployment that serves."""

    reason: str
    deployment: ModelDeployment
    routes: ObservedRoutes
    settings: Settings = SETTINGS
    observed: ObservedDeployment | None = None
    """What is seen of the rest; a deployment that serves if unset."""
    changes: dict[str, Any] = field(default_factory=dict)
    """What differs from that."""


def claim(expose: Object | None, **status: Any) -> Object:
    """Return the status of a deployment that has claimed what a spec asks for."""
    if expose is None:
        return status
    (kind,) = {"ingress", "gateway", "istio"} & expose.keys()
    kinds = {"ingress": ["Ingress"], "gateway": ["HTTPRoute", "GRPCRoute"], "istio": ["VirtualService"]}[kind]
    hosts = [*expose["hosts"], *expose.get("grpcHosts", [])]
    return {"exposure": {"kinds": kinds if len(hosts) > 1 else kinds[:1], "hosts": hosts}} | status


def make(expose: Object | None, claimed: Object | None = None, **status: Any) -> ModelDeployment:
    """Return a deployment that exposes something, and has claimed the hosts of a spec."""
    changes = {} if expose is None else {"spec__expose": expose}
    return make_deployment(claim(claimed, **status), metadata__creationTimestamp="2026-03-01T00:00:00Z", **changes)


def view_routes(expose: Object, **changes: Any) -> tuple[RouteView, ...]:
    """Return what is seen of the routes of a spec that were applied."""
    return tuple(replace(_view(route), **changes) for route in build_routes(make(expose)))


def _view(route: Object) -> RouteView:
    meta, spec = route["metadata"], route["spec"]
    rules = [rule["host"] for rule in spec["rules"]] if route["kind"] == "Ingress" else []
    keys = sorted(meta["annotations"].keys() - {names.APPLIED_HASH})
    return RouteView(
        route["kind"], meta["name"], f"uid-{meta['name']}", meta["annotations"][names.APPLIED_HASH], generation=2,
        hosts=tuple(rules or spec.get("hostnames") or spec["hosts"]), annotations=tuple(keys),
    )  # fmt: skip


def report(*reports: ReportView, section: str = "https") -> ParentView:
    """Return what the controller of the first Gateway reports."""
    return ParentView("infra", "public", section, reports)


def seen(expose: Object, **changes: Any) -> ObservedRoutes:
    """Return what is observed of the routes of a spec, which were applied."""
    return ObservedRoutes(view_routes(expose, **changes))


def _condition(status: str, reason: str, generation: int = 0) -> Object:
    known = {"type": "Exposed", "status": status, "reason": reason, "message": "…", "lastTransitionTime": EARLIER}
    return known | {"observedGeneration": generation}


YES, RESOLVED = ReportView("Accepted", "True", generation=2), ReportView("ResolvedRefs", "True", generation=2)
NO = ReportView("Accepted", "False", "NoMatchingListenerHostname", "no listener has this host name", 2)
UNRESOLVED = ReportView("ResolvedRefs", "False", "RefNotPermitted", "the backend is not permitted", 2)
INNER = ParentView("default", "inner", "", (YES, RESOLVED))
NOTHING = ObservedRoutes()
ROLLOUT, SPLIT = STATES["rollout-ready"], SPLIT_STATES["split-ready"]


def _with(deployment: ModelDeployment, expose: Object) -> ModelDeployment:
    other = make(expose, expose)
    spec = deployment.spec.model_copy(update={"expose": other.spec.expose})
    status = deployment.status.model_copy(update={"exposure": other.status.exposure})
    return deployment.model_copy(update={"spec": spec, "status": status})


EXPOSED_STATES = {
    "expose-new": Exposed("the hosts are claimed before a route is written", make(PLAIN), NOTHING),
    "expose-ingress": Exposed("an Ingress for REST, and one for gRPC", make(INGRESS, INGRESS), NOTHING),
    "expose-gateway": Exposed("an HTTPRoute and a GRPCRoute", make(GATEWAY, GATEWAY), NOTHING),
    "expose-istio": Exposed("a VirtualService for REST, and one for gRPC", make(ISTIO, ISTIO), NOTHING),
    "expose-rollout": Exposed(
        "routes lead to the Service that selects the stable revision", _with(ROLLOUT.deployment, PLAIN), NOTHING,
        observed=ROLLOUT.observed,
    ),
    "expose-split": Exposed(
        "routes lead to the Service that selects the entry", _with(SPLIT.deployment, PLAIN), NOTHING,
        observed=SPLIT.observed,
    ),
    "expose-pods-not-ready": Exposed(
        "routes are written beside what serves", make(PLAIN, PLAIN), NOTHING,
        changes={"deployments": (ChildView("digits-main", "u", replicas=1),)},
    ),
    "expose-service-missing": Exposed(
        "a Service of the name that is somebody else's gets no requests", make(PLAIN, PLAIN), NOTHING,
        changes={"services": ()},
    ),
    "expose-ingress-pending": Exposed("no controller has given it an address", make(PLAIN, PLAIN), seen(PLAIN)),
    "expose-ingress-accepted": Exposed(
        "the URLs are known, and an Ingress with a certificate has https", make(INGRESS, INGRESS),
        seen(INGRESS, addresses=("10.0.0.1",)),
    ),
    "expose-gateway-pending": Exposed(
        "a Gateway that has said nothing, and one that has accepted it", make(GATEWAY, GATEWAY),
        seen(GATEWAY, parents=(INNER, report())),
    ),
    "expose-gateway-accepted": Exposed(
        "all Gateways serve it, and of two controllers of one Gateway one does", make(GATEWAY, GATEWAY),
        seen(GATEWAY, parents=(report(NO), report(YES, RESOLVED), INNER)),
    ),
    "expose-gateway-rejected": Exposed(
        "the controller's words are in the condition, and nothing else suffers", make(HTTP_ONLY, HTTP_ONLY),
        seen(HTTP_ONLY, parents=(report(NO, RESOLVED),)),
    ),
    "expose-gateway-unresolved": Exposed(
        "a route that is accepted and leads nowhere", make(HTTP_ONLY, HTTP_ONLY),
        seen(HTTP_ONLY, parents=(report(YES, UNRESOLVED),)),
    ),
    "expose-gateway-outdated": Exposed(
        "what was said of an earlier generation does not count", make(HTTP_ONLY, HTTP_ONLY),
        seen(HTTP_ONLY, parents=(report(replace(NO, generation=1), RESOLVED),)),
    ),
    "expose-gateway-another-listener": Exposed(
        "what is said of another listener does not count", make(HTTP_ONLY, HTTP_ONLY),
        seen(HTTP_ONLY, parents=(report(NO, section="http"),)),
    ),
    "expose-istio-accepted": Exposed("Istio reports nothing", make(ISTIO, ISTIO), seen(ISTIO)),
    "expose-changed-by-others": Exposed(
        "a route that somebody changed is written again", make(PLAIN, PLAIN), seen(PLAIN, changed=True)
    ),
    "expose-changed-to-another-host": Exposed(
        "one whose host is not allowed is repaired, too, and not deleted", make(PLAIN, PLAIN),
        seen(PLAIN, changed=True, hosts=("elsewhere.example.org",)),
    ),
    "expose-rejected": Exposed(
        "the API server rejects the route: the condition says so, and it serves", make(PLAIN, PLAIN),
        replace(NOTHING, rejection=Rejection("Rejected", "admission webhook: the host is defined already", "Ingress")),
    ),
    "expose-rejected-before": Exposed(
        "a fault that is reported already is no event",
        make(PLAIN, PLAIN, conditions=[_condition("False", "Rejected")]),
        replace(NOTHING, rejection=Rejection("Rejected", "admission webhook: the host is defined already", "Ingress")),
    ),
    "expose-retry": Exposed(
        "a route that was rejected is tried again, and the condition says so meanwhile",
        make(PLAIN, PLAIN, conditions=[_condition("False", "Rejected", 1)]), NOTHING,
    ),
    "expose-host-not-allowed": Exposed(
        "no route is written for it; that of the earlier spec stays",
        make(PLAIN | {"hosts": [HOST, "example.org"]}, PLAIN), seen(PLAIN),
    ),
    "expose-no-host-allowed": Exposed(
        "without the setting nothing is exposed", make(PLAIN), NOTHING, settings=Settings()
    ),
    "expose-host-revoked": Exposed(
        "a route whose host is not allowed any more is deleted", make(PLAIN, PLAIN), seen(PLAIN),
        settings=Settings(route_hosts="default=*.example.org"),
    ),
    "expose-annotation-not-allowed": Exposed(
        "annotations may run code in the controller",
        make(PLAIN | {"ingress": {"annotations": {"nginx.ingress.kubernetes.io/server-snippet": "…"}}}), NOTHING,
    ),
    "expose-annotation-revoked": Exposed(
        "an Ingress with an annotation that is not allowed any more is deleted", make(INGRESS, INGRESS), seen(INGRESS),
        settings=Settings(route_hosts="*=*", ingress_annotations="cert-manager.io/cluster-issuer"),
    ),
    "expose-host-taken": Exposed(
        "of two deployments the first one has the host, also if it is younger", make(PLAIN),
        replace(NOTHING, claims=(YOUNGER,)),
    ),
    "expose-host-of-a-neighbor": Exposed(
        "one of the same namespace is named", make(PLAIN), replace(NOTHING, claims=(NEIGHBOR,))
    ),
    "expose-yields": Exposed(
        "of two that have claimed a host at once the older one keeps it", make(PLAIN, PLAIN),
        replace(seen(PLAIN), claims=(OTHER,)),
    ),
    "expose-keeps": Exposed(
        "a younger deployment yields", make(PLAIN, PLAIN), replace(seen(PLAIN), claims=(YOUNGER,))
    ),
    "expose-listing": Exposed(
        "nothing is decided until the routes are listed, such as after a restart",
        make(PLAIN, PLAIN, conditions=[_condition("True", "RouteAccepted")]),
        replace(NOTHING, pending=frozenset({"Ingress"})),
    ),
    "expose-kind-missing": Exposed(
        "the condition says what is not installed, and it is looked for again", make(GATEWAY),
        replace(NOTHING, refusals={"HTTPRoute": "missing", "GRPCRoute": "missing"}),
    ),
    "expose-forbidden": Exposed(
        "the operator's Role is an older one", make(ISTIO), replace(NOTHING, refusals={"VirtualService": "forbidden"})
    ),
    "expose-unreadable": Exposed(
        "what was claimed before stays so", make(ISTIO, ISTIO),
        replace(NOTHING, refusals={"VirtualService": "unreadable"}),
    ),
    "expose-kind-changing": Exposed(
        "the Ingress stays until the other routes are written", make(HTTP_ONLY, claimed=PLAIN | {"hosts": [HOST]},
        exposure={"kinds": ["Ingress", "HTTPRoute"], "hosts": [HOST]}), seen(PLAIN),
    ),
    "expose-kind-changed": Exposed(
        "an Ingress of an earlier spec is deleted", make(HTTP_ONLY, HTTP_ONLY),
        ObservedRoutes((*view_routes(HTTP_ONLY), *view_routes(PLAIN))),
    ),
    "expose-removed": Exposed("the routes go", make(None, GATEWAY), seen(GATEWAY)),
    "expose-removed-and-gone": Exposed(
        "nothing is left of it", make(None, PLAIN, conditions=[_condition("Unknown", "RouteRemoving")]), NOTHING
    ),
    "expose-removed-and-forbidden": Exposed(
        "routes that cannot be seen are not forgotten", make(None, ISTIO),
        replace(NOTHING, refusals={"VirtualService": "forbidden"}),
    ),
    "expose-removed-before-it-was-allowed": Exposed(
        "the condition goes with the field", make(None, conditions=[_condition("False", "HostNotAllowed")]), NOTHING
    ),
}  # fmt: skip
