"""The children of a ModelDeployment with `engine: Seldon`: a SeldonDeployment, and the graphs of its single nodes.

Seldon's executor runs the graph. A node with a modelUri or an implementation is a container with our graph server,
which answers as a microservice; the user's containers are microservices as they are. All share the predictor's pods.

Reference: Seldon Core 1.17, operator/apis/machinelearning.seldon.io/v1 (defaults, validation) and executor/predictor.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fairlead_contracts.environment import GraphServerEnvironment
from fairlead_contracts.graph import LEARNING, GraphDocument, Implementation
from fairlead_contracts.graph import GraphNode as ServedNode
from fairlead_contracts.termination import limit_for

from fairlead.api.graph import GraphNode
from fairlead.api.model_deployment import ModelDeployment, Predictor
from fairlead.core import names
from fairlead.core.children import Object, build_owned, hash_object, with_hash
from fairlead.core.model_deployment.build import (
    build_config_map,
    build_pod_metadata,
    build_pod_spec,
    build_server_container,
    count_processes,
    list_containers,
)
from fairlead.core.model_deployment.graph_document import build_batching, build_served
from fairlead.core.model_deployment.seldon_ports import assign_ports, count_containers, list_served
from fairlead.core.model_deployment.status import count_desired
from fairlead.core.settings import Settings

API_VERSION, KIND = "machinelearning.seldon.io/v1", "SeldonDeployment"
_STAND_IN: Implementation = "SIMPLE_MODEL"
"""What stands for the children of a router or combiner in its own graph; it is never called."""


def build_seldon_children(
    deployment: ModelDeployment, digests: Mapping[str, str], settings: Settings
) -> list[Object]:  # fmt: skip
    """Return the ConfigMaps and the SeldonDeployment, each annotated with its hash."""
    pairs = [(each, _build_graphs(deployment, each, digests)) for each in _in_order(deployment)]
    config_maps = [_build_config_map(deployment, each, graphs) for each, graphs in pairs if graphs]
    labels = names.deployment_labels(deployment)
    head = build_owned(deployment, API_VERSION, KIND, deployment.metadata.name, labels)
    predictors = [_build_predictor(deployment, each, graphs, settings) for each, graphs in pairs]
    resource = head | {"spec": {"protocol": "seldon", "predictors": predictors}}
    return [with_hash(child) for child in (*config_maps, resource)]


def find_content(resource: Object, predictor: str) -> str:
    """Return the hash of what determines a predictor's pods, as the SeldonDeployment says it."""
    found = next(each for each in resource["spec"]["predictors"] if each["name"] == predictor)
    return str(found["annotations"][names.SELDON_CONTENT])


def _in_order(deployment: ModelDeployment) -> Iterator[Predictor]:
    """Yield the predictors, shadows last: Seldon's address is that of the first one."""
    yield from deployment.spec.live
    yield from (predictor for predictor in deployment.spec.predictors if predictor.shadow)


def _build_graphs(deployment: ModelDeployment, predictor: Predictor, digests: Mapping[str, str]) -> dict[str, str]:
    """Return the graph of each node that a graph server runs, by its file."""
    batching = build_batching(predictor)
    return {
        _file(node): GraphDocument(
            deployment=node.name,
            namespace=deployment.metadata.namespace,
            predictor=predictor.name,
            graph=_build_served(node, digests),
            batching=batching if node.model_uri else None,
        ).to_text()
        for node in list_served(predictor)
    }


def _build_served(node: GraphNode, digests: Mapping[str, str]) -> ServedNode:
    """Return a node alone; a built-in with as many children as it has, by which routers count."""
    stand_ins = (ServedNode(name=child.name, type="MODEL", implementation=_STAND_IN) for child in node.children)
    children = tuple(stand_ins) if node.role in ("ROUTER", "COMBINER") else ()
    return build_served(node, digests, children=children)


def _build_config_map(deployment: ModelDeployment, predictor: Predictor, graphs: dict[str, str]) -> Object:
    labels = names.predictor_labels(deployment, predictor.name)
    return build_config_map(deployment, _config_name(deployment, predictor, graphs), labels, graphs)


def _build_predictor(
    deployment: ModelDeployment, predictor: Predictor, graphs: dict[str, str], settings: Settings
) -> Object:
    labels = names.predictor_labels(deployment, predictor.name)
    content: Object = {
        "graph": _build_unit(predictor.graph),
        "componentSpecs": [
            {
                "metadata": {"name": names.SELDON_PODS, **build_pod_metadata(predictor, labels)},
                "spec": _build_pod_spec(deployment, predictor, graphs, settings),
            }
        ],
    }
    if any(node.role == "ROUTER" for node in predictor.graph.walk()):
        # so that answers say in meta.routing who has answered, which feedback needs
        content["svcOrchSpec"] = {"env": [{"name": "SELDON_ENABLE_ROUTING_INJECTION", "value": "true"}]}
    return {
        "name": predictor.name,
        "replicas": count_desired(deployment, predictor),
        **_build_traffic(predictor),
        "labels": labels,
        "annotations": {names.SELDON_CONTENT: hash_object(content)},
        **content,
    }


def _build_traffic(predictor: Predictor) -> Object:
    if predictor.shadow:
        return {"shadow": True, "traffic": predictor.shadow.percent}
    return {"traffic": 100 if predictor.traffic is None else predictor.traffic}


def _build_unit(node: GraphNode) -> Object:
    """Return a node as Seldon's predictive unit. Without an implementation, the executor calls its container."""
    unit: Object = {"name": node.name, "type": node.role}
    if node.parameters and not node.implementation:
        unit["parameters"] = [item.model_dump() for item in node.parameters]
    if node.children:
        unit["children"] = [_build_unit(child) for child in node.children]
    return unit


def _build_pod_spec(
    deployment: ModelDeployment, predictor: Predictor, graphs: dict[str, str], settings: Settings
) -> Object:
    ports = assign_ports(predictor)
    servers = [_build_server(predictor, node, ports[node.name], settings) for node in list_served(predictor)]
    named = {node.name: node.endpoint.service_port for node in predictor.graph.walk() if node.endpoint}
    users = [_with_port(container, named.get(container["name"])) for container in list_containers(predictor)]
    config = _config_name(deployment, predictor, graphs) if graphs else None
    return build_pod_spec(predictor, [*servers, *users], config, settings)


def _build_server(predictor: Predictor, node: GraphNode, ports: tuple[int, int], settings: Settings) -> Object:
    environment = GraphServerEnvironment(
        termination_log=names.TERMINATION_LOG,
        termination_bytes=limit_for(count_containers(predictor)),
        grpc_port=ports[1],
        state_folder=names.WORK_FOLDER if node.implementation in LEARNING else None,
        model_processes=count_processes(predictor) if node.model_uri else 1,
    )
    secrets = [node.env_secret_ref_name] if node.env_secret_ref_name else []
    container = build_server_container(node.name, _file(node), ports, secrets, environment, predictor, settings)
    # the containers of a pod share the volume, and each keeps its state and temporary files
    folders = [
        {**mount, "subPath": node.name} if mount["mountPath"] == names.WORK_FOLDER else mount
        for mount in container["volumeMounts"]
    ]
    return container | {"volumeMounts": folders}


def _with_port(container: dict[str, Any], port: int | None) -> dict[str, Any]:
    """Return a user's container with the port that its node names, under the name by which Seldon looks for it."""
    if port is None:
        return container
    others = [each for each in container.get("ports", []) if each.get("name") != "http"]
    return container | {"ports": [*others, {"name": "http", "containerPort": port}]}


def _config_name(deployment: ModelDeployment, predictor: Predictor, graphs: dict[str, str]) -> str:
    return names.seldon_config_name(deployment, predictor.name, "".join(graphs.values()))


def _file(node: GraphNode) -> str:
    return f"{node.name}.json"
