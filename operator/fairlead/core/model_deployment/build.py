"""The children of a ModelDeployment: the ConfigMap of its graph, Deployment, Service."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fairlead_contracts.environment import GraphServerEnvironment
from fairlead_contracts.graph import FILE as GRAPH_FILE
from fairlead_contracts.graph import LEARNING
from fairlead_contracts.termination import limit_for

from fairlead.api.graph import GraphNode
from fairlead.api.model_deployment import ModelDeployment, Predictor
from fairlead.api.serving_pod import Server
from fairlead.core import names
from fairlead.core.children import Object, build_owned, with_hash
from fairlead.core.model_deployment.api_keys import with_api_keys
from fairlead.core.model_deployment.checks import assign_ports, count_containers
from fairlead.core.model_deployment.gpus import choose_image
from fairlead.core.model_deployment.graph_document import build_graph
from fairlead.core.model_deployment.memory import build_memory_variable
from fairlead.core.pod_defaults import pod_ip_variable, restricted_pod_spec
from fairlead.core.settings import Settings

# Both processes of a graph server with a small model need 130 MiB (resident; 106 MiB if shared pages count once), 12
# more with remote nodes, and up to 26 more for the largest valid requests; the rest is for the model. Each further
# process of the models needs 88 MiB (59 MiB if shared pages count once).
_CPU_MILLIS, _HTTP_MEBIBYTES, _MODEL_MEBIBYTES = 100, 96, 96


def build_children(deployment: ModelDeployment, digests: Mapping[str, str], settings: Settings) -> list[Object]:
    """Return all children of a deployment, each annotated with its hash."""
    children = []
    for predictor in deployment.spec.predictors:
        graph = build_graph(deployment, predictor, digests)
        name = names.graph_config_name(deployment, predictor.name, graph)
        labels = names.predictor_labels(deployment, predictor.name)
        children.append(build_config_map(deployment, name, labels, {GRAPH_FILE: graph}))
        children.append(build_deployment(deployment, predictor, graph, settings))
    children.append(build_deployment_service(deployment, names.deployment_labels(deployment)))
    return [with_hash(child) for child in children]


def build_config_map(
    deployment: ModelDeployment, name: str, labels: dict[str, str], files: Mapping[str, str]
) -> Object:  # fmt: skip
    """Return the ConfigMap of graphs, by their files."""
    head = build_owned(deployment, "v1", "ConfigMap", name, labels)
    return head | {"immutable": True, "data": dict(files)}


def build_deployment(deployment: ModelDeployment, predictor: Predictor, graph: str, settings: Settings) -> Object:
    """Return the Deployment of a predictor: the graph server, then the containers of its remote nodes."""
    labels = names.predictor_labels(deployment, predictor.name)
    replicas = deployment.spec.replicas if predictor.replicas is None else predictor.replicas
    head = build_owned(deployment, "apps/v1", "Deployment", names.predictor_name(deployment, predictor.name), labels)
    config = names.graph_config_name(deployment, predictor.name, graph)
    ports = assign_ports(predictor)
    nodes = {node.name: node for node in predictor.graph.walk()}
    containers = [
        _build_graph_server(predictor, settings),
        *(
            _build_node_container(container, ports[container["name"]], nodes.get(container["name"]))
            for container in list_containers(predictor)
        ),
    ]
    return head | {
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            # keep all replicas serving: an old pod is deleted only when a new one is ready
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": build_pod_metadata(predictor, labels),
                "spec": with_api_keys(predictor.server, build_pod_spec(predictor, containers, config, settings)),
            },
        }
    }


def list_containers(predictor: Predictor) -> list[dict[str, Any]]:
    """Return the containers of componentSpecs, as the user wrote them."""
    specs = (component.spec.to_dict() for component in predictor.component_specs)
    return [container for spec in specs for container in spec["containers"]]


def build_pod_spec(
    predictor: Predictor, containers: list[dict[str, Any]], config: str | None, settings: Settings
) -> dict[str, Any]:
    """Return a predictor's pod with these containers: what componentSpecs and the template say, and graph servers'
    volumes, of which one is a ConfigMap; None if there are no graph servers."""
    users = [component.spec.to_dict() for component in predictor.component_specs]
    users += [predictor.server_spec.to_dict()] if predictor.server_spec else []
    merged: dict[str, Any] = {key: value for user in users for key, value in user.items()}
    merged["containers"] = containers
    if init := [container for user in users for container in user.get("initContainers", [])]:
        merged["initContainers"] = init
    volumes = [volume for user in users for volume in user.get("volumes", [])]
    if config is not None:
        volumes += [
            {"name": "fairlead-graph", "configMap": {"name": config}},
            {"name": "fairlead-work", "emptyDir": {}},
        ]
    if volumes:
        merged["volumes"] = volumes
    return restricted_pod_spec(merged, settings.pull_secrets)


def build_deployment_service(deployment: ModelDeployment, selector: dict[str, str]) -> Object:
    """Return the Service of a deployment's own name, in front of the pods with these labels."""
    return build_service(deployment, deployment.metadata.name, names.deployment_labels(deployment), selector)


def build_service(deployment: ModelDeployment, name: str, labels: dict[str, str], selector: dict[str, str]) -> Object:
    """Return a Service in front of a deployment's pods with the labels of the selector."""
    ports = [
        {"name": "http", "port": names.SERVING_PORT, "targetPort": "http"},
        # HTTP/2 without TLS, as gateways have to know
        {"name": "grpc", "port": names.GRPC_PORT, "targetPort": "grpc", "appProtocol": "kubernetes.io/h2c"},
    ]
    return build_owned(deployment, "v1", "Service", name, labels) | {"spec": {"selector": selector, "ports": ports}}


def build_pod_metadata(predictor: Predictor, labels: dict[str, str]) -> dict[str, Any]:
    """Return the metadata of a predictor's pods: what componentSpecs and the template add, but no label of ours."""
    templates = [*predictor.component_specs, *([predictor.server.template] if predictor.server else [])]
    users = [template.metadata.to_dict() for template in templates if template and template.metadata]
    added = {key: value for user in users for key, value in user.get("labels", {}).items()}
    annotations = {key: value for user in users for key, value in user.get("annotations", {}).items()}
    metadata: dict[str, Any] = {"labels": names.without_reserved(added) | labels}
    return metadata | ({"annotations": annotations} if annotations else {})


def _build_graph_server(predictor: Predictor, settings: Settings) -> dict[str, Any]:
    secrets = sorted({node.env_secret_ref_name for node in predictor.graph.walk() if node.env_secret_ref_name})
    limit = limit_for(count_containers(predictor))
    learns = any(node.implementation in LEARNING for node in predictor.graph.walk())
    environment = GraphServerEnvironment(
        termination_log=names.TERMINATION_LOG, termination_bytes=limit, grpc_port=names.GRPC_PORT,
        state_folder=names.WORK_FOLDER if learns else None, model_processes=count_processes(predictor),
    )  # fmt: skip
    return build_server_container(
        names.GRAPH_SERVER, GRAPH_FILE, (names.SERVING_PORT, names.GRPC_PORT), secrets, environment, predictor, settings
    )


def count_processes(predictor: Predictor) -> int:
    """Return the number of processes that run the models in a pod."""
    return (predictor.server.processes if predictor.server else None) or 1


def build_server_container(
    name: str,
    file: str,
    ports: tuple[int, int],
    secrets: Sequence[str],
    environment: GraphServerEnvironment,
    predictor: Predictor,
    settings: Settings,
) -> dict[str, Any]:
    """Return a container that serves the graph in a file of the ConfigMap, over HTTP and gRPC at these ports."""
    # Longer than 40 lines: one literal, in the order of the pod's YAML.
    server = predictor.server or Server()
    health = {"path": "/v2/health/live", "port": "http"}
    return {
        "name": name,
        "image": choose_image(predictor, settings),
        "imagePullPolicy": settings.image_pull_policy,
        "command": [
            "fairlead-graph-server", "--graph", f"{names.GRAPH_FOLDER}/{file}",
            "--port", str(ports[0]),
        ],
        "ports": [
            {"name": "http", "containerPort": ports[0]},
            {"name": "grpc", "containerPort": ports[1]},
        ],
        "env": [
            pod_ip_variable(),
            {"name": "TMPDIR", "value": names.WORK_FOLDER},
            *({"name": key, "value": value} for key, value in environment.to_environment().items()),
            *build_memory_variable(server, environment.model_processes),
            *(variable.to_dict() for variable in server.env or ()),
        ],
        "envFrom": [{"secretRef": {"name": secret}} for secret in secrets],
        "volumeMounts": [
            {"name": "fairlead-graph", "mountPath": names.GRAPH_FOLDER, "readOnly": True},
            {"name": "fairlead-work", "mountPath": names.WORK_FOLDER},
        ],
        "resources": _default_resources(environment.model_processes) if server.resources is None else server.resources,
        "terminationMessagePath": names.TERMINATION_LOG,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "startupProbe": {"httpGet": health, "periodSeconds": 1, "failureThreshold": 120},
        "livenessProbe": {"httpGet": health, "periodSeconds": 10, "failureThreshold": 3, "timeoutSeconds": 5},
        "readinessProbe": {
            "httpGet": {"path": "/v2/health/ready", "port": "http"}, "periodSeconds": 2, "timeoutSeconds": 5,
        },
    }  # fmt: skip


def _default_resources(processes: int) -> dict[str, Any]:
    memory = _HTTP_MEBIBYTES + processes * _MODEL_MEBIBYTES
    requests = {"cpu": f"{processes * _CPU_MILLIS}m", "memory": f"{memory}Mi"}
    return {"requests": requests, "limits": {"memory": "2Gi"}}


def _build_node_container(container: dict[str, Any], port: int, node: GraphNode | None) -> dict[str, Any]:
    """Set the environment variables from which Seldon's wrapper reads its name, port and parameters."""
    parameters = [item.model_dump() for item in node.parameters] if node else []
    by_grpc = node is not None and node.endpoint is not None and node.endpoint.type == "GRPC"
    # the wrapper listens at both, and containers of one pod cannot share a port
    http_port = port + names.GRPC_NODE_PORTS if by_grpc else port
    ours = {
        "PREDICTIVE_UNIT_ID": container["name"],
        "PREDICTIVE_UNIT_HTTP_SERVICE_PORT": str(http_port),
        "PREDICTIVE_UNIT_SERVICE_PORT": str(port),
    }
    if by_grpc:
        ours["PREDICTIVE_UNIT_GRPC_SERVICE_PORT"] = str(port)
    if parameters:
        ours["PREDICTIVE_UNIT_PARAMETERS"] = json.dumps(parameters)
    kept = [variable for variable in container.get("env", []) if variable["name"] not in ours]
    return container | {"env": kept + [{"name": name, "value": value} for name, value in ours.items()]}
