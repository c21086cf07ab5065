"""Who runs a resource: this operator, or the controller that its spec.runPolicy.managedBy names."""

from fairlead.api.group import CONTROLLER
from fairlead.core.children import Object


def is_foreign(resource: Object) -> bool:
    """Return whether another controller runs a resource, as the API server returned it: its spec may be invalid."""
    return bool(resource.get("spec", {}).get("runPolicy", {}).get("managedBy", CONTROLLER) != CONTROLLER)
