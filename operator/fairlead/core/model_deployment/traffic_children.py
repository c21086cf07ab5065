"""What graph servers need to receive traffic documents: a key, and a document for their start."""

from typing import Any

from fairlead_contracts.environment import GraphServerEnvironment
from fairlead_contracts.traffic import FILE as TRAFFIC_FILE
from fairlead_contracts.traffic import TrafficDocument

from fairlead.api.model_deployment import ModelDeployment
from fairlead.core import names
from fairlead.core.children import Object, build_owned, with_hash

KEY = "key"
"""The key of the Secret's data, and the name of its file."""


def build_traffic_config(
    deployment: ModelDeployment, child: str, labels: dict[str, str], document: TrafficDocument
) -> Object:
    """Return the ConfigMap with what the servers of a Deployment of this name do when they start."""
    head = build_owned(deployment, "v1", "ConfigMap", names.traffic_config_name(child), labels)
    return with_hash(head | {"data": {TRAFFIC_FILE: document.model_dump_json()}})


def build_traffic_key(deployment: ModelDeployment, key: str) -> Object:
    """Return the Secret that signs the traffic documents of a deployment.

    It is not immutable: the kubelet would not bring servers the one that is made if it is deleted.
    """
    labels = names.deployment_labels(deployment)
    head = build_owned(deployment, "v1", "Secret", names.traffic_key_name(deployment), labels)
    return head | {"type": "Opaque", "stringData": {KEY: key}}


def with_traffic(deployment: ModelDeployment, child: str, server: str, spec: Object) -> Object:
    """Add to the pods of a Deployment of this name what its servers, the revision or predictor `server`, need."""
    volumes: list[dict[str, Any]] = [
        *spec["volumes"],
        # those whose servers split nothing have no document
        {"name": "fairlead-traffic", "configMap": {"name": names.traffic_config_name(child), "optional": True}},
        {"name": "fairlead-key", "secret": {"secretName": names.traffic_key_name(deployment)}},
    ]
    graph_server, *others = spec["containers"]
    return spec | {"containers": [_tell_server(server, graph_server), *others], "volumes": volumes}


def _tell_server(name: str, server: Object) -> Object:
    environment = GraphServerEnvironment(
        revision=name,
        traffic_file=f"{names.TRAFFIC_FOLDER}/{TRAFFIC_FILE}",
        key_file=f"{names.KEY_FOLDER}/{KEY}",
    )
    mounts = [
        {"name": "fairlead-traffic", "mountPath": names.TRAFFIC_FOLDER, "readOnly": True},
        {"name": "fairlead-key", "mountPath": names.KEY_FOLDER, "readOnly": True},
    ]
    variables = [{"name": name, "value": value} for name, value in environment.to_environment().items()]
    return server | {"env": [*server["env"], *variables], "volumeMounts": [*server["volumeMounts"], *mounts]}
