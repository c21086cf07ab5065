"""What a node may not say with `engine: Seldon`, because a SeldonDeployment cannot express it."""

from fairlead.api.graph import GraphNode
from fairlead.api.model_deployment import ModelDeployment, Predictor
from fairlead.core.conditions import Finding
from fairlead.core.model_deployment.checks import MAX_CONTAINERS
from fairlead.core.model_deployment.observed import ObservedSeldon
from fairlead.core.model_deployment.seldon_ports import count_containers, find_shared_port, list_served

_EXECUTOR = "seldon-container-engine"
"""The container that Seldon Core adds to the pods."""


def check_seldon(deployment: ModelDeployment) -> Finding | None:
    """Find the first field that has no counterpart."""
    for index, predictor in enumerate(deployment.spec.predictors):
        path = f"spec.predictors[{index}]"
        for node in predictor.graph.walk():
            if message := _check_node(node):
                return Finding("NotInSeldon", f"{path}.graph: node {node.name!r}: {message} with engine Seldon.")
        if message := _check_pod(predictor):
            return Finding("NotInSeldon", f"{path}: {message} with engine Seldon.")
    return None


def check_access(seldon: ObservedSeldon) -> Finding | None:
    """Find that SeldonDeployments cannot be read."""
    if seldon.refusal == "missing":
        message = "The cluster has no SeldonDeployment of machinelearning.seldon.io/v1: expected Seldon Core v1."
        return Finding("SeldonNotInstalled", message)
    if seldon.refusal == "forbidden":
        message = "The operator may not list SeldonDeployments: expected a Role that allows it."
        return Finding("SeldonForbidden", message)
    if seldon.refusal == "unreadable":
        return Finding("SeldonUnreadable", "The SeldonDeployments could not be listed yet: the operator tries again.")
    return None


def _check_node(node: GraphNode) -> str | None:
    if node.endpoint and node.endpoint.service_host:
        return f"endpoint.service_host: got {node.endpoint.service_host}, expected a container in componentSpecs"
    if node.endpoint and node.endpoint.type != "REST":
        return f"endpoint.type: got {node.endpoint.type}, expected REST: the executor speaks what its client speaks"
    if node.protocol == "v2":
        return "protocol: got v2, expected seldon"
    if node.timeout_seconds is not None:
        return f"timeoutSeconds: got {node.timeout_seconds:g}, expected none"
    if node.retries is not None:
        return f"retries: got {node.retries}, expected none"
    return None


def _check_pod(predictor: Predictor) -> str | None:
    users = [container.name for component in predictor.component_specs for container in component.spec.containers]
    if _EXECUTOR in (*users, *(node.name for node in list_served(predictor))):
        return f"graph: got a node named {_EXECUTOR}, expected another name than that of Seldon's own container"
    if port := find_shared_port(predictor):
        return f"graph: endpoint.service_port: got {port}, expected one that no other container of the pod has"
    if (count := count_containers(predictor)) > MAX_CONTAINERS:
        return f"got {count} containers in the pod, expected at most {MAX_CONTAINERS}"
    return None
