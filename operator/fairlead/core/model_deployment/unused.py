"""Which of the children that exist are applied as they should be, and which are not needed any more."""

import re
from collections.abc import Iterable, Iterator, Mapping

from fairlead.core import names
from fairlead.core.children import Object
from fairlead.core.model_deployment.exposure_build import ROUTE_KINDS
from fairlead.core.model_deployment.observed import ObservedDeployment
from fairlead.core.plan import Deletion
from fairlead.core.views import ChildView, RouteView, SeldonView

_OF_DEPLOYMENT = "-[0-9a-f]{8}|-traffic"
"""What the names of its Service, budget and ConfigMaps end with, after its own."""


def is_applied(child: Object, observed: ObservedDeployment) -> bool:
    """Return whether a child exists as it was last applied, and nobody has changed it since."""
    routes = observed.routes.views
    kinds: Mapping[str, tuple[ChildView | SeldonView | RouteView, ...]] = {
        "Deployment": observed.deployments, "Service": observed.services, "ConfigMap": observed.config_maps,
        "HorizontalPodAutoscaler": observed.autoscalers, "PodDisruptionBudget": observed.budgets,
        "SeldonDeployment": observed.seldon.views,
        **{kind: tuple(view for view in routes if view.kind == kind) for kind in ROUTE_KINDS},
    }  # fmt: skip
    meta, views = child["metadata"], kinds[child["kind"]]
    digest = meta["annotations"][names.APPLIED_HASH]
    return any(view.name == meta["name"] and view.applied_hash == digest and not view.changed for view in views)


def find_unused(
    children: Iterable[Object], observed: ObservedDeployment, keep: Iterable[str] = ()
) -> tuple[Deletion, ...]:
    """Return the children that are neither built any more nor of a Deployment to keep, by its name."""
    kept = {(child["kind"], child["metadata"]["name"]) for child in children}
    own = re.compile(f"({'|'.join(map(re.escape, keep))})({_OF_DEPLOYMENT})?")
    return tuple(
        Deletion(kind, view.name, view.uid)
        for kind, view in _list_existing(observed)
        if (kind, view.name) not in kept and not own.fullmatch(view.name)
    )


def _list_existing(observed: ObservedDeployment) -> Iterator[tuple[str, ChildView]]:
    """Yield the kind and the view of the children, Services last: pods drain while they still have a name."""
    yield from (("Deployment", view) for view in observed.deployments)
    yield from (("ConfigMap", view) for view in observed.config_maps)
    yield from (("HorizontalPodAutoscaler", view) for view in observed.autoscalers)
    yield from (("PodDisruptionBudget", view) for view in observed.budgets)
    yield from (("Service", view) for view in observed.services)
