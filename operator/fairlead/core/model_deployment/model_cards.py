"""The gate of model cards: no model gets all of the requests unless its evaluation says that it is good enough."""

from fairlead_contracts.errors import ContractError
from fairlead_contracts.model_card import KIND, ModelCard

from fairlead.api.model_deployment import ModelDeployment
from fairlead.api.model_gates import ModelCardGate
from fairlead.core.artifacts import ArtifactFacts
from fairlead.core.conditions import Finding
from fairlead.core.model_deployment.artifacts import label_nodes
from fairlead.core.model_deployment.observed import Artifacts


def check_model_cards(deployment: ModelDeployment, artifacts: Artifacts) -> Finding | None:
    """Find the first model without a card that passes, if the deployment asks for them.

    A model that the store cannot be asked for now, but which was served before, has been judged then: it has no kind.
    """
    gate = deployment.spec.require_model_card
    if gate is None:
        return None
    asked = {name for name, node in label_nodes(deployment, deployment.spec.live) if node.role == "MODEL"}
    for node in artifacts.nodes:
        model = node.artifact
        if node.node not in asked or not model.kind:
            continue
        if finding := _check_card(artifacts.cards[model.uri, model.digest], model.digest, gate):
            return Finding(finding.reason, f"Node {node.node}: {finding.message}")
    return None


def _check_card(card: ArtifactFacts, digest: str, gate: ModelCardGate) -> Finding | None:
    """Find why a card does not pass: missing, unsigned, invalid, of something else, or of a model that failed."""
    uri = card.uri
    if card.missing:
        return Finding("ModelCardMissing", f"No model card for {digest}; expected it at {uri}.")
    if card.error:
        return Finding("StoreUnavailable" if card.unavailable else "InvalidModelCard", card.error)
    if card.unsigned:
        return Finding("ModelCardNotSigned", f"{card.unsigned}.")
    if card.kind != KIND:
        return Finding("InvalidModelCard", f"{uri}: got an artifact of kind {card.kind}, expected {KIND}.")
    if all(parent.digest != digest for parent in card.parents):
        return Finding("InvalidModelCard", f"{uri}: the card's parents do not include the model's {digest}.")
    try:
        figures = ModelCard.parse(dict(card.parameters), "parameters")
    except ContractError as error:
        return Finding("InvalidModelCard", f"{uri}: {error}.")
    return _judge(figures, gate, uri)


def _judge(card: ModelCard, gate: ModelCardGate, uri: str) -> Finding | None:
    if gate.metric is not None and card.metric != gate.metric:
        return Finding("OtherMetricMeasured", f"{uri}: got a card of {card.metric}, expected one of {gate.metric}.")
    if not card.success:
        return Finding("ModelNotGoodEnough", f"{uri}: {'; '.join(card.failed) or 'no reason given'}.")
    if gate.minimum is not None and card.value < gate.minimum:
        got = f"{card.metric} {card.value:g} on {card.examples} examples"
        return Finding("ModelNotGoodEnough", f"{uri}: {got}, expected at least {gate.minimum:g}.")
    return None
