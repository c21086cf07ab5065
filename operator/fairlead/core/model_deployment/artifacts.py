"""Whether the models of a ModelDeployment can be served."""

from fairlead.core.conditions import Finding
from fairlead.core.model_deployment.observed import Artifacts


def check_artifacts(artifacts: Artifacts) -> Finding | None:
    """Find the first model that is not in the store, or not as expected."""
    for node in artifacts.nodes:
        if node.artifact.error:
            reason = "ModelNotFound" if node.artifact.missing else "InvalidModel"
            return Finding(reason, f"Node {node.node}: {node.artifact.error}")
    return None
