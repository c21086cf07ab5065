"""Models that nobody has evaluated."""

from dataclasses import replace

from fairlead.core.artifacts import ArtifactFacts
from fairlead.core.model_deployment.observed import Artifacts


def without_cards(artifacts: Artifacts) -> Artifacts:
    """Return artifacts as they are read for a deployment that asks for cards, where none exists."""
    nodes = tuple(replace(node, artifact=replace(node.artifact, kind="onnx-model")) for node in artifacts.nodes)
    cards = {
        (node.artifact.uri, node.artifact.digest): ArtifactFacts(f"{node.artifact.uri}.card/0", missing=True)
        for node in nodes
    }
    return replace(artifacts, nodes=nodes, cards=cards)
