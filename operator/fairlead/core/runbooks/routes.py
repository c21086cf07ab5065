"""The reasons of a ModelDeployment's condition Exposed."""

from fairlead.core.runbooks.base import ADMIN, Runbook

ROUTES: dict[str, Runbook] = {
    "RouteAccepted": Runbook("The routes of `spec.expose` are accepted.", ""),
    "RoutePending": Runbook(
        "The routes exist, and what serves them has not reported anything about them.",
        "If it lasts, look whether the Ingress's class or the Gateway exists, and whether its controller runs.",
    ),
    "RouteRejected": Runbook(
        "A Gateway does not serve a route; the message has its controller's words.",
        "Look at the Gateway's listeners: their host names, and which namespaces and kinds of routes they allow.",
    ),
    "RouteRemoving": Runbook("`spec.expose` was removed, and the routes are being deleted.", ""),
    "RouteKindMissing": Runbook(
        "The cluster does not have the kind of route that `spec.expose` asks for.",
        "Install the Gateway API or Istio, which the operator notices within seconds, or expose it in another way.",
    ),
    "RouteForbidden": Runbook(
        "The operator may not read routes of this kind.",
        "Give its Role the rules of `manifests/rbac/role.yaml` or of the chart.",
    ),
    "RouteUnreadable": Runbook(
        "The API server answers the operator's list of these routes with an error.",
        "If it lasts, look at the operator's log for the error.",
    ),
    "HostNotAllowed": Runbook(
        "`spec.expose` names a host that the administrator does not allow the namespace; there is no route for it.",
        f"{ADMIN} The administrator's list is `routeHosts` of the chart (`FAIRLEAD_ROUTE_HOSTS`), empty at first.",
    ),
    "AnnotationNotAllowed": Runbook(
        "`spec.expose.ingress` has an annotation that the administrator does not allow; there is no Ingress for it.",
        f"{ADMIN} The administrator's list is `ingressAnnotations` of the chart (`FAIRLEAD_INGRESS_ANNOTATIONS`).",
    ),
    "HostTaken": Runbook(
        "Another ModelDeployment exposes a host already, so that a second route would get some of its requests.",
        "Choose another host, or remove it there: the operator notices within seconds.",
    ),
    "ServiceMissing": Runbook("The deployment's own Service does not exist yet, so there is nothing to route to.", ""),
}
