"""Conversion of routes to the views that planners read. What their controllers report is bounded, and left out if it
has another type."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from fairlead.core import names
from fairlead.core.views import ParentView, ReportView, RouteView
from fairlead.kube.views import Object, as_count, as_object, as_text

_MAX_NAME, _MAX_WORD, _MAX_MESSAGE = 253, 64, 512
_MAX_HOSTS, _MAX_ANNOTATIONS, _MAX_ADDRESSES, _MAX_PARENTS, _MAX_REPORTS = 64, 128, 8, 32, 16


def view_route(kind: str, obj: Object, changed: bool = False) -> RouteView:
    """Return the view of an Ingress, HTTPRoute, GRPCRoute or VirtualService; `changed` as in the view."""
    meta, spec, status = obj["metadata"], as_object(obj.get("spec")), as_object(obj.get("status"))
    annotations = meta.get("annotations") or {}
    balancer = as_object(status.get("loadBalancer"))
    return RouteView(
        kind=kind,
        name=meta["name"],
        uid=meta["uid"],
        applied_hash=annotations.get(names.APPLIED_HASH, ""),
        changed=changed,
        generation=meta.get("generation", 0),
        hosts=tuple(_read_hosts(spec)),
        annotations=tuple(sorted(islice((key for key in annotations if key != names.APPLIED_HASH), _MAX_ANNOTATIONS))),
        addresses=tuple(_read_addresses(balancer)),
        parents=tuple(_read_parent(meta["namespace"], each) for each in _items(status.get("parents"), _MAX_PARENTS)),
    )


def _read_hosts(spec: Object) -> Iterator[str]:
    """Yield the hosts: of an Ingress's rules, of a route of the Gateway API, of a VirtualService."""
    rules = (each.get("host") for each in _items(spec.get("rules"), _MAX_HOSTS))
    texts = [each for field in ("hostnames", "hosts") for each in spec.get(field) or ()]
    yield from (host for host in (*rules, *texts[:_MAX_HOSTS]) if isinstance(host, str))


def _read_addresses(balancer: Object) -> Iterator[str]:
    for each in _items(balancer.get("ingress"), _MAX_ADDRESSES):
        if address := as_text(each.get("hostname") or each.get("ip"), _MAX_NAME):
            yield address


def _read_parent(namespace: str, parent: Object) -> ParentView:
    ref = as_object(parent.get("parentRef"))
    return ParentView(
        namespace=as_text(ref.get("namespace"), _MAX_NAME) or namespace,
        name=as_text(ref.get("name"), _MAX_NAME),
        section=as_text(ref.get("sectionName"), _MAX_NAME),
        reports=tuple(
            ReportView(
                type=as_text(each.get("type"), _MAX_WORD),
                status=as_text(each.get("status"), _MAX_WORD),
                reason=as_text(each.get("reason"), _MAX_WORD),
                message=as_text(each.get("message"), _MAX_MESSAGE),
                generation=as_count(each.get("observedGeneration")),
            )
            for each in _items(parent.get("conditions"), _MAX_REPORTS)
        ),
    )


def _items(value: Any, limit: int) -> list[Object]:
    """Return the first objects of a list; none if it is not one."""
    return [each for each in value[:limit] if isinstance(each, dict)] if isinstance(value, list) else []
