"""The routes from outside of the cluster, as far as the caches know them."""

from collections.abc import Iterable

from fairlead.api.model_deployment import ModelDeployment
from fairlead.core.conditions import Finding
from fairlead.core.model_deployment.claims import Claim
from fairlead.core.model_deployment.exposure_checks import list_kinds
from fairlead.core.model_deployment.observed import ObservedRoutes
from fairlead.core.views import RouteView
from fairlead.kube.children import ChildCache
from fairlead.kube.kinds import ROUTES
from fairlead.kube.optional import OptionalKinds


def observe_routes(
    kinds: OptionalKinds,
    children: ChildCache,
    deployment: ModelDeployment,
    claims: Iterable[Claim],
    rejection: Finding | None,
) -> ObservedRoutes:
    """Return what is seen for a deployment; nothing for one without routes, for which nothing is watched either."""
    meta, exposure = deployment.metadata, deployment.status.exposure
    # what an earlier spec asked for is in the status, also after a restart
    known = {*list_kinds(deployment.spec.expose), *(exposure.kinds if exposure else ())}
    if not known:
        return ObservedRoutes()
    watches = {kind.kind: kinds.watch(kind, meta.namespace) for kind in ROUTES if kind.kind in known}
    owned = (child.view for child in children.owned_by(meta.uid))
    return ObservedRoutes(
        views=tuple(view for view in owned if isinstance(view, RouteView)),
        refusals={kind: watch.refusal for kind, watch in watches.items() if watch.refusal},
        pending=frozenset(kind for kind, watch in watches.items() if watch.pending),
        claims=tuple(each for each in claims if (each.namespace, each.name) != (meta.namespace, meta.name)),
        rejection=rejection,
    )
