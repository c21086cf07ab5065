"""Checks of a ModelDeployment: each returns a Finding or None."""

from collections import Counter

from fairlead_contracts.environment import GraphServerEnvironment
from fairlead_contracts.graph import CHILDREN, IMPLEMENTATIONS, MAX_NODES, SOURCES
from fairlead_contracts.termination import GraphFailureReport, read_report
from pydantic import ValidationError

from fairlead.api.graph import GraphNode
from fairlead.api.model_deployment import ModelDeployment, Predictor
from fairlead.core import names
from fairlead.core.conditions import Finding
from fairlead.core.model_deployment.gpus import requests_gpu
from fairlead.core.model_deployment.memory import check_memory
from fairlead.core.model_deployment.observed import ServiceAnswer
from fairlead.core.views import PodView

MAX_CONTAINERS = 47
"""With more, the kubelet keeps too little of each container's termination message."""


def check_graphs(deployment: ModelDeployment) -> Finding | None:
    """Find the first invalid graph or server."""
    for index, predictor in enumerate(deployment.spec.predictors):
        path = f"spec.predictors[{index}].graph"
        for check in (_check_names, _check_children, _check_containers, _check_sources, _check_remote):
            if message := check(predictor, path):
                return Finding("InvalidGraph", message)
        if message := _check_server(predictor, f"spec.predictors[{index}].server"):
            return Finding("InvalidServer", message)
    return None


def check_pods(pods: tuple[PodView, ...]) -> Finding | None:
    """Find a failing pod, and why: its graph server's report or the end of its log."""
    for pod in pods:
        if (pod.waiting or pod.restarts) and (reason := _describe_failure(pod) or pod.waiting):
            return Finding("PodsFailing", f"Pod {pod.name} is failing: {reason}")
    return None


def describe_problem(error: ValidationError) -> Finding:
    """Return the first reason for which the contract of the graph server rejects a graph."""
    problem = error.errors()[0]
    return Finding("InvalidGraph", f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}.")


def check_answer(answer: ServiceAnswer | None) -> Finding | None:
    """Find why the Service is not ready."""
    if answer is None:
        return Finding("NoEndpoints", "The Service has no ready pods yet.")
    if answer.status is None:
        return Finding("NotAnswering", f"The Service does not respond: {answer.error}.")
    if answer.status != 200:
        return Finding("NotAnswering", f"The Service returned status {answer.status} for /v2/health/ready.")
    return None


def _describe_failure(pod: PodView) -> str:
    report = read_report(pod.termination_message)
    return report.failure.message if isinstance(report, GraphFailureReport) else pod.termination_message.strip()


def _check_names(predictor: Predictor, path: str) -> str | None:
    """Find too many nodes or duplicate names."""
    if (count := len(predictor.graph.walk())) > MAX_NODES:
        return f"{path}: got {count} nodes, expected at most {MAX_NODES}."
    counts = Counter(node.name for node in predictor.graph.walk())
    duplicate = next((name for name, count in counts.items() if count > 1), None)
    if duplicate:
        return f"{path}: got {counts[duplicate]} nodes named {duplicate!r}, expected unique names."
    return None


def _check_children(predictor: Predictor, path: str) -> str | None:
    for node in predictor.graph.walk():
        least, most = CHILDREN[node.role]
        if not least <= (count := len(node.children)) <= most:
            expected = f"at least {least}" if count < least else f"at most {most}"
            return f"{path}: {node.role} {node.name!r} has {count} children, expected {expected}."
    return None


def _check_sources(predictor: Predictor, path: str) -> str | None:
    containers = Counter(c.name for component in predictor.component_specs for c in component.spec.containers)
    if duplicate := next((name for name, count in containers.items() if count > 1), None):
        return f"{path}: got {containers[duplicate]} containers named {duplicate!r} in componentSpecs, expected one."
    for node in predictor.graph.walk():
        given = [_alias(name) for name in node.sources] + ["container"] * (node.name in containers)
        if len(given) > 1:
            return f"{path}: node {node.name!r} has both a {given[0]} and a {given[1]}, expected only one of them."
        if not given:
            others = ", ".join(f"no {_alias(name)}" for name in node.all_sources())
            return f"{path}: {node.role} {node.name!r} has {others} and no container in componentSpecs."
        if other := next((name for name in node.sources if node.role not in SOURCES[name]), None):
            types = ", ".join(SOURCES[other])
            return f"{path}: {node.role} {node.name!r} has a {given[0]}, expected one only on a node of type {types}."
        if node.implementation and node.role != (expected := IMPLEMENTATIONS[node.implementation]):
            return f"{path}: {node.role} {node.name!r} has a {node.implementation}, which is a {expected}."
    nodes = {node.name for node in predictor.graph.walk()}
    if unused := next((name for name in containers if name not in nodes), None):
        return f"{path}: container {unused!r} of componentSpecs does not match any node of the graph."
    return None


def _check_remote(predictor: Predictor, path: str) -> str | None:
    """Find fields that have no effect where they are."""
    for node in predictor.graph.walk():
        remote = node.sources in ([], ["endpoint"])
        fields = ("protocol", "timeout_seconds", "retries", "model_name")
        given = [name for name in fields if getattr(node, name) is not None]
        if given and not remote:
            return f"{path}: node {node.name!r} has a {_alias(given[0])}, but no container or endpoint."
        if node.endpoint and node.endpoint.service_host and not node.endpoint.service_port:
            return f"{path}: node {node.name!r} has a service_host, expected a service_port with it."
        if node.model_name and node.protocol != "v2":
            return f"{path}: node {node.name!r} has a modelName, expected one only with protocol v2."
        if node.protocol == "v2" and node.role in ("ROUTER", "COMBINER"):
            return f"{path}: {node.role} {node.name!r} has protocol v2, which has no such nodes."
    if port := next((port for port, count in Counter(list_ports(predictor)).items() if count > 1), None):
        return f"{path}: port {port} is used {Counter(list_ports(predictor))[port]} times in the pod, expected once."
    if predictor.batching and not any(node.model_uri for node in predictor.graph.walk()):
        return f"{path.removesuffix('graph')}batching: expected a node with a modelUri, which batching is for."
    return None


def list_ports(predictor: Predictor) -> list[int]:
    """Return the ports of a predictor's pod: the graph server's, and those of its containers."""
    by_grpc = [node.name for node in predictor.graph.walk() if node.endpoint and node.endpoint.type == "GRPC"]
    ports = assign_ports(predictor)
    others = [port + names.GRPC_NODE_PORTS for name, port in ports.items() if name in by_grpc]
    return [names.SERVING_PORT, names.GRPC_PORT, *ports.values(), *others]


def assign_ports(predictor: Predictor) -> dict[str, int]:
    """Assign a port to each remote node's container, since all share one pod, unless the node names the port."""
    containers = [c.name for component in predictor.component_specs for c in component.spec.containers]
    endpoints = {node.name: node.endpoint for node in predictor.graph.walk() if node.endpoint}
    named = {name: endpoint.service_port for name, endpoint in endpoints.items() if endpoint.service_port}
    return {name: named.get(name) or names.FIRST_NODE_PORT + index for index, name in enumerate(containers)}


def _alias(name: str) -> str:
    return str(GraphNode.model_fields[name].alias)


def count_containers(predictor: Predictor) -> int:
    """Return the number of containers of a predictor's pod, the graph server included."""
    specs = [*(component.spec for component in predictor.component_specs), predictor.server_spec]
    return 1 + sum(len(spec.containers or ()) + len(spec.init_containers or ()) for spec in specs if spec)


def _check_containers(predictor: Predictor, path: str) -> str | None:
    """Find more containers than a pod's termination messages have room for."""
    if (count := count_containers(predictor)) > MAX_CONTAINERS:
        return f"{path}: got {count} containers in the pod, expected at most {MAX_CONTAINERS}."
    return None


def _check_server(predictor: Predictor, path: str) -> str | None:
    """Find a variable of the graph server that is the operator's, or processes that cannot run."""
    variables = [variable.name for variable in (predictor.server and predictor.server.env) or ()]
    ours = {"POD_IP", "TMPDIR"} | {
        GraphServerEnvironment.variable(name) for name in GraphServerEnvironment.model_fields
    }
    if reserved := next((name for name in variables if name in ours), None):
        return f"{path}.env: got {reserved}, expected none of the variables that the operator sets."
    processes = predictor.server and predictor.server.processes
    if processes and processes > 1 and requests_gpu(predictor):
        return f"{path}.processes: got {processes}, expected 1 with GPUs, each of which serves one process."
    return check_memory(predictor, path)
