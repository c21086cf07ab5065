"""The graph document that a graph server reads: a predictor's nodes, where each is, and what is watched."""

from collections.abc import Mapping
from typing import Any

from fairlead_contracts.graph import Batching, Endpoint, GraphDocument, Parameter
from fairlead_contracts.graph import GraphNode as ServedNode
from fairlead_contracts.graph import Monitor as ServedMonitor

from fairlead.api.graph import GraphNode
from fairlead.api.model_deployment import ModelDeployment, Predictor
from fairlead.core.model_deployment.checks import assign_ports


def build_graph(deployment: ModelDeployment, predictor: Predictor, digests: Mapping[str, str]) -> str:
    """Return the graph document that the graph server reads, as JSON."""
    ports = assign_ports(predictor)
    document = GraphDocument(
        deployment=deployment.metadata.name,
        namespace=deployment.metadata.namespace,
        predictor=predictor.name,
        graph=_build_node(predictor.graph, digests, ports),
        batching=build_batching(predictor),
        monitor=_build_monitor(deployment),
    )
    return document.to_text()


def build_served(node: GraphNode, digests: Mapping[str, str], **more: Any) -> ServedNode:
    """Return a node with its model or built-in, and what else is said of it."""
    inside = {name: getattr(node, name) for name in node.all_sources() if name != "endpoint"}
    return ServedNode(
        name=node.name,
        type=node.role,
        digest=node.digest or digests.get(node.model_uri) if node.model_uri else None,
        parameters=_build_parameters(node) if node.implementation else None,
        **inside,
        **more,
    )


def build_batching(predictor: Predictor) -> Batching | None:
    """Return how the models of a predictor run requests together, if they do."""
    return Batching(**predictor.batching.model_dump()) if predictor.batching else None


def _build_monitor(deployment: ModelDeployment) -> ServedMonitor | None:
    """Return what servers count. The limits are judged by the operator, so that changing them restarts no pod."""
    if deployment.spec.monitor is None:
        return None
    drift = deployment.spec.monitor.drift
    return ServedMonitor(window_seconds=drift.window_seconds, sample_percent=drift.sample_percent)


def _build_node(node: GraphNode, digests: Mapping[str, str], ports: Mapping[str, int]) -> ServedNode:
    return build_served(
        node,
        digests,
        endpoint=_build_endpoint(node, ports),
        protocol=node.protocol,
        model_name=node.model_name,
        timeout_seconds=node.timeout_seconds,
        retries=node.retries,
        children=tuple(_build_node(child, digests, ports) for child in node.children),
    )


def _build_endpoint(node: GraphNode, ports: Mapping[str, int]) -> Endpoint | None:
    """Return where a remote node is called: at the host that it names, or at its container in the same pod."""
    if node.runs_inside:
        return None
    named, kind = node.endpoint, node.endpoint.type if node.endpoint else "REST"
    if named and named.service_host and named.service_port:
        return Endpoint(host=named.service_host, port=named.service_port, type=kind)
    return Endpoint(host="127.0.0.1", port=ports[node.name], type=kind)


def _build_parameters(node: GraphNode) -> tuple[Parameter, ...] | None:
    """Return the parameters of a built-in."""
    return tuple(Parameter(**item.model_dump()) for item in node.parameters) or None
