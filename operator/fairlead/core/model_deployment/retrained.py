"""The retrained model that a node serves in the place of the spec's, which is never rewritten.

It stays for as long as the spec has spec.monitor.retrain and names the model that it replaces. So whoever changes a
node's modelUri or digest, or renames it, gets what the spec says.
"""

from fairlead.api.graph import GraphNode
from fairlead.api.model_deployment import ModelDeployment
from fairlead.api.retrain import RetrainedModel, RetrainTarget
from fairlead.core.conditions import Finding
from fairlead.core.model_deployment.revisions import Revision
from fairlead.core.model_deployment.shares import find_entry


def with_retrained_model(deployment: ModelDeployment) -> ModelDeployment:
    """Return the deployment with the model that its status has in the place of the spec's."""
    if (model := find_retrained_model(deployment)) is None:
        return deployment
    predictor = find_entry(deployment.spec.predictors)
    changed = predictor.model_copy(update={"graph": _replace(predictor.graph, model)})
    predictors = [changed if each is predictor else each for each in deployment.spec.predictors]
    return deployment.model_copy(update={"spec": deployment.spec.model_copy(update={"predictors": predictors})})


def find_retrained_model(deployment: ModelDeployment) -> RetrainedModel | None:
    """Return the retrained model of the status; None if the spec does not ask for it any more."""
    status, monitor = deployment.status.retrain, deployment.spec.monitor
    if monitor is None or monitor.retrain is None or status is None or status.model is None:
        return None
    target = status.model.target
    named = [(node.name, node.model_uri, node.digest) for node in find_entry(deployment.spec.predictors).graph.walk()]
    wanted = monitor.retrain.node in (None, target.node)
    return status.model if wanted and (target.node, target.model_uri, target.digest) in named else None


def find_target(deployment: ModelDeployment, node: str | None) -> RetrainTarget | Finding:
    """Return the model of the spec that a run replaces: that of `node`, or of the only node that it may be."""
    graph = find_entry(deployment.spec.predictors).graph
    nodes = {each.name: each for each in graph.walk() if each.model_uri and each.role == "MODEL"}
    known = ", ".join(nodes) or "none"
    if node is None and len(nodes) != 1:
        return Finding("NodeUnknown", f"spec.monitor.retrain.node: got none, expected one of the nodes: {known}.")
    found = nodes.get(node or next(iter(nodes)))
    if found is None or found.model_uri is None:
        return Finding("NodeUnknown", f"spec.monitor.retrain.node: got {node}, expected one of the nodes: {known}.")
    return RetrainTarget(node=found.name, model_uri=found.model_uri, digest=found.digest)


def has_model(revision: Revision | None, model: RetrainedModel) -> bool:
    """Return whether a revision serves a retrained model."""
    nodes = revision.predictor.graph.walk() if revision else []
    return any((node.name, node.model_uri) == (model.target.node, model.uri) for node in nodes)


def _replace(node: GraphNode, model: RetrainedModel) -> GraphNode:
    if node.name == model.target.node:
        return node.model_copy(update={"model_uri": model.uri, "digest": model.digest})
    if not node.children:
        return node  # a field that is set, even to its default, makes another revision
    return node.model_copy(update={"children": [_replace(child, model) for child in node.children]})
