"""The children of a revision: those of a predictor, with a name, a Service and traffic of their own."""

from typing import Any

from fairlead_contracts.environment import GraphServerEnvironment
from fairlead_contracts.traffic import FILE as TRAFFIC_FILE
from fairlead_contracts.traffic import TrafficDocument

from fairlead.api.model_deployment import ModelDeployment
from fairlead.core import names
from fairlead.core.children import Object, build_owned, with_hash
from fairlead.core.model_deployment.build import (
    build_config_map,
    build_deployment,
    build_graph,
    build_service,
)
from fairlead.core.model_deployment.revisions import Revision
from fairlead.core.settings import Settings

KEY = "key"
"""The key of the Secret's data, and the name of its file."""


def build_revision_children(
    deployment: ModelDeployment, revision: Revision, replicas: int, settings: Settings
) -> list[Object]:
    """Return the ConfigMap, Deployment and Service of a revision, each annotated with its hash."""
    graph = build_graph(deployment, revision.predictor, revision.digests)
    name, labels = names.revision_name(deployment, revision.name), names.revision_labels(deployment, revision.name)
    config = names.revision_config_name(deployment, revision.name, graph)
    return [
        with_hash(build_config_map(deployment, config, labels, graph)),
        with_hash(_build_deployment(deployment, revision, graph, replicas, settings)),
        with_hash(build_service(deployment, name, labels, labels)),
    ]


def build_traffic_config(deployment: ModelDeployment, document: TrafficDocument) -> Object:
    """Return the ConfigMap with what servers of a revision do when they start."""
    name = names.traffic_config_name(deployment, document.revision)
    head = build_owned(deployment, "v1", "ConfigMap", name, names.revision_labels(deployment, document.revision))
    return with_hash(head | {"data": {TRAFFIC_FILE: document.model_dump_json()}})


def build_traffic_key(deployment: ModelDeployment, key: str) -> Object:
    """Return the Secret that signs the traffic documents of a deployment.

    It is not immutable: the kubelet would not bring servers the one that is made if it is deleted.
    """
    labels = names.deployment_labels(deployment)
    head = build_owned(deployment, "v1", "Secret", names.traffic_key_name(deployment), labels)
    return head | {"type": "Opaque", "stringData": {KEY: key}}


def _build_deployment(
    deployment: ModelDeployment, revision: Revision, graph: str, replicas: int, settings: Settings
) -> Object:
    """Return the Deployment of a revision's predictor, with the labels, variables and volumes of the revision."""
    own = settings.model_copy(update={"graph_server_image": revision.image})
    built = build_deployment(deployment, revision.predictor, graph, own)
    labels = built["metadata"]["labels"] | {names.REVISION: revision.name}
    template = built["spec"]["template"]
    metadata = template["metadata"] | {"labels": template["metadata"]["labels"] | {names.REVISION: revision.name}}
    spec = built["spec"] | {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {"metadata": metadata, "spec": _with_traffic(deployment, revision, graph, template["spec"])},
    }
    name = names.revision_name(deployment, revision.name)
    return built | {"metadata": built["metadata"] | {"name": name, "labels": labels}, "spec": spec}


def _with_traffic(deployment: ModelDeployment, revision: Revision, graph: str, spec: Object) -> Object:
    """Add to a pod what its graph server needs to be told about traffic."""
    graph_volume = {
        "name": "fairlead-graph",
        "configMap": {"name": names.revision_config_name(deployment, revision.name, graph)},
    }
    traffic_volumes: list[dict[str, Any]] = [
        # a revision that is no stable one yet has no document
        {
            "name": "fairlead-traffic",
            "configMap": {"name": names.traffic_config_name(deployment, revision.name), "optional": True},
        },
        {"name": "fairlead-key", "secret": {"secretName": names.traffic_key_name(deployment)}},
    ]
    volumes = [graph_volume if volume["name"] == graph_volume["name"] else volume for volume in spec["volumes"]]
    server, *others = spec["containers"]
    return spec | {"containers": [_tell_server(revision, server), *others], "volumes": [*volumes, *traffic_volumes]}


def _tell_server(revision: Revision, server: Object) -> Object:
    environment = GraphServerEnvironment(
        revision=revision.name,
        traffic_file=f"{names.TRAFFIC_FOLDER}/{TRAFFIC_FILE}",
        key_file=f"{names.KEY_FOLDER}/{KEY}",
    )
    mounts = [
        {"name": "fairlead-traffic", "mountPath": names.TRAFFIC_FOLDER, "readOnly": True},
        {"name": "fairlead-key", "mountPath": names.KEY_FOLDER, "readOnly": True},
    ]
    variables = [{"name": name, "value": value} for name, value in environment.to_environment().items()]
    return server | {"env": [*server["env"], *variables], "volumeMounts": [*server["volumeMounts"], *mounts]}
