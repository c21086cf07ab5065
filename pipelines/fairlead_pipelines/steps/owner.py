"""Who owns what a step creates: the Workflow of its run, so that both are deleted together."""

import os

from fairlead.client import FairleadClient, FairleadError, Object

POD_NAME, POD_NAMESPACE = "FAIRLEAD_POD_NAME", "FAIRLEAD_POD_NAMESPACE"
"""Environment variables with the step's own pod."""


def find_owner(client: FairleadClient) -> tuple[Object | None, str]:
    """Return a reference to the owner of the step's pod; or None, and why.

    An owner must be in the namespace of what it owns.
    """
    name, namespace = os.environ.get(POD_NAME), os.environ.get(POD_NAMESPACE)
    if not name:
        return None, "the step does not run in a pod of Kubeflow Pipelines"
    if namespace != client.namespace:
        return None, f"the run is in namespace {namespace}"
    try:
        references = client.get("Pod", name)["metadata"].get("ownerReferences", [])
    except FairleadError as error:
        return None, str(error)
    owner = next((each for each in references if each.get("controller")), None)
    if owner is None:
        return None, f"pod {name} has no owner"
    return {key: owner[key] for key in ("apiVersion", "kind", "name", "uid")}, ""
