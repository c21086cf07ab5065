"""Whether the routes from outside of the cluster are accepted, read back from what their controllers report."""

from collections.abc import Iterable

from fairlead.api.exposure import Exposure, GatewayRef
from fairlead.api.model_deployment import ModelDeployment
from fairlead.core.conditions import DesiredCondition, Finding
from fairlead.core.model_deployment.exposure_build import INGRESS, VIRTUAL_SERVICE
from fairlead.core.views import ParentView, RouteView

EXPOSED = "Exposed"
_REQUIRED = ("Accepted", "ResolvedRefs")
"""What a controller of the Gateway API says of a route that it serves."""


def explain_routes(deployment: ModelDeployment, expose: Exposure, views: Iterable[RouteView]) -> DesiredCondition:
    """Return the condition of routes that are applied; what is rejected is named before what is not reported yet."""
    verdicts = [_explain_route(deployment, expose, view) for view in views]
    for status in (False, None):
        if found := next((each for each in verdicts if each.status is status), None):
            return found
    return DesiredCondition(EXPOSED, True, "RouteAccepted", " ".join(each.message for each in verdicts))


def build_urls(expose: Exposure, condition: DesiredCondition) -> tuple[str, ...]:
    """Return the URLs for REST, if the routes are accepted and decide about TLS themselves."""
    if expose.ingress is None or not condition.status:
        return ()
    scheme = "https" if expose.tls else "http"
    return tuple(f"{scheme}://{host}" for host in expose.hosts)


def _explain_route(deployment: ModelDeployment, expose: Exposure, view: RouteView) -> DesiredCondition:
    route = f"{view.kind} {view.name}"
    if view.kind == VIRTUAL_SERVICE:
        return _accept(f"{route} exists.")
    if view.kind == INGRESS:
        if view.addresses:
            return _accept(f"{route} has the address {', '.join(view.addresses)}.")
        return _pend(f"{route} has no address yet: expected its IngressClass's controller to report one.")
    waiting = None
    for ref in expose.gateway.parent_refs if expose.gateway else ():
        status, message = _explain_parent(deployment, ref, view)
        if status is False:
            return DesiredCondition(EXPOSED, False, "RouteRejected", f"{route}: {message}")
        if status is None:
            waiting = waiting or message
    return _pend(f"{route}: {waiting}") if waiting else _accept(f"{route} is accepted.")


def _explain_parent(deployment: ModelDeployment, ref: GatewayRef, view: RouteView) -> tuple[bool | None, str]:
    """Return whether a Gateway has accepted a route, None if it has not said so, and its controller's words.

    Several controllers may report the same Gateway; one of them that accepts is enough.
    """
    namespace = ref.namespace or deployment.metadata.namespace
    name = f"Gateway {namespace}/{ref.name}{f', listener {ref.section_name}' if ref.section_name else ''}"
    parents = [
        each
        for each in view.parents
        if (each.namespace, each.name, each.section) == (namespace, ref.name, ref.section_name or "")
    ]
    found = [_read_reports(parent, view.generation) for parent in parents]
    if True in (status for status, _ in found):
        return True, ""
    rejected = next((words for status, words in found if status is False), None)
    if rejected is not None:
        return False, f"{name} does not serve it: {rejected}"
    return None, f"{name} has not reported anything about it yet."


def _read_reports(parent: ParentView, generation: int) -> tuple[bool | None, str]:
    """Return whether a controller serves a route; what it said of an earlier generation does not count."""
    reports = {each.type: each for each in parent.reports if not 0 < each.generation < generation}
    for type_ in _REQUIRED:
        report = reports.get(type_)
        if report and report.status == "False":
            return False, f"{type_} is False ({report.reason}): {report.message}"
    known = all(type_ in reports and reports[type_].status == "True" for type_ in _REQUIRED)
    return (True if known else None), ""


def _accept(message: str) -> DesiredCondition:
    return DesiredCondition(EXPOSED, True, "RouteAccepted", message)


def _pend(message: str) -> DesiredCondition:
    return wait("RoutePending", message)


def wait(reason: str, message: str) -> DesiredCondition:
    """Return the condition of routes of which nothing is known yet."""
    return DesiredCondition(EXPOSED, None, reason, message)


def fail(finding: Finding) -> DesiredCondition:
    """Return the condition of routes that are not what the spec asks for."""
    return DesiredCondition(EXPOSED, False, finding.reason, finding.message)
