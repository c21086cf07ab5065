"""SeldonDeployments and what Seldon Core makes of them, as far as the caches know them."""

from fairlead.core.model_deployment.observed import ObservedSeldon
from fairlead.core.views import ChildView, SeldonView
from fairlead.kube.children import ChildCache
from fairlead.kube.kinds import SELDON_DEPLOYMENT
from fairlead.kube.optional import OptionalKinds


def observe_seldon(kinds: OptionalKinds, children: ChildCache, namespace: str, uid: str) -> ObservedSeldon:
    """Return what is seen for the deployment with this uid."""
    reflector = kinds.watch(SELDON_DEPLOYMENT, namespace)
    if not reflector.watching:
        return ObservedSeldon(refusal=reflector.refusal, pending=reflector.pending)
    owned = (child.view for child in children.owned_by(uid))
    views = tuple(view for view in owned if isinstance(view, SeldonView))
    theirs = (child.view for view in views for child in children.owned_by(view.uid))
    return ObservedSeldon(views, tuple(view for view in theirs if isinstance(view, ChildView)))
