"""Checks of the models of a ModelDeployment."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from fairlead.api.graph import GraphNode
from fairlead.api.model_deployment import ModelDeployment, Predictor
from fairlead.core.artifacts import ArtifactFacts
from fairlead.core.conditions import Finding
from fairlead.core.model_deployment.observed import Artifacts, NodeArtifact
from fairlead.core.settings import Settings
from fairlead.core.tenants import check_uris


def label_nodes(
    deployment: ModelDeployment, predictors: Iterable[Predictor] | None = None
) -> Iterator[tuple[str, GraphNode]]:
    """Yield the nodes of all predictors, or of some, with their names in status and messages.

    These contain the predictor's, if there are several.
    """
    several = len(deployment.spec.predictors) > 1
    for predictor in deployment.spec.predictors if predictors is None else predictors:
        for node in predictor.graph.walk():
            yield (f"{predictor.name}/{node.name}" if several else node.name), node


def check_allowed_uris(deployment: ModelDeployment, settings: Settings) -> Finding | None:
    """Find a modelUri that the administrator does not allow the deployment's namespace."""
    uris = (
        (f"spec.predictors[{index}].graph: node {node.name}: modelUri", node.model_uri)
        for index, predictor in enumerate(deployment.spec.predictors)
        for node in predictor.graph.walk()
    )
    return check_uris(settings, deployment.metadata.namespace, uris)


def check_artifacts(artifacts: Artifacts) -> Finding | None:
    """Find the first model that is missing, invalid or cannot be read."""
    for node in artifacts.nodes:
        facts = node.artifact
        if facts.error:
            reason = "StoreUnavailable" if facts.unavailable else "ModelNotFound" if facts.missing else "InvalidModel"
            return Finding(reason, f"Node {node.node}: {facts.error}")
    return None


def with_known_digests(deployment: ModelDeployment, artifacts: Artifacts) -> Artifacts:
    """Return the artifacts with those that the store could not be asked for as they were read before.

    So an outage of the store does not affect what already serves.
    """
    return replace(artifacts, nodes=tuple(_with_known_digest(deployment, node) for node in artifacts.nodes))


def _with_known_digest(deployment: ModelDeployment, node: NodeArtifact) -> NodeArtifact:
    if not node.artifact.unavailable:
        return node
    for known in deployment.status.provenance:
        if known.name == node.node and (node.model_uri == known.uri or node.model_uri.startswith(f"{known.uri}/")):
            return replace(node, artifact=ArtifactFacts(known.uri, known.digest))
    return node
