"""Checks of the models of a ModelDeployment."""

from fairlead.core.conditions import Finding
from fairlead.core.model_deployment.observed import Artifacts


def check_artifacts(artifacts: Artifacts) -> Finding | None:
    """Find the first model that is missing or invalid."""
    for node in artifacts.nodes:
        if node.artifact.error:
            reason = "ModelNotFound" if node.artifact.missing else "InvalidModel"
            return Finding(reason, f"Node {node.node}: {node.artifact.error}")
    return None
