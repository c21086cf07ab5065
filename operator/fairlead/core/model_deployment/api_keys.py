"""API keys: the user's Secret in the files of the graph server, and of no other container of the pod."""

from typing import Any

from fairlead_contracts.environment import GraphServerEnvironment

from fairlead.api.serving_pod import Server
from fairlead.core import names
from fairlead.core.children import Object

_VOLUME, _FILE = "fairlead-api-keys", "keys"


def with_api_keys(server: Server | None, spec: Object) -> Object:
    """Mount the Secret into the first container of a pod, the graph server.

    It is mounted as a folder: the kubelet does not update single files of a Secret that changes.
    """
    if server is None or server.auth is None:
        return spec
    source = server.auth.api_key_secret
    secret: dict[str, Any] = {"secretName": source.name}
    if source.key is not None:
        secret["items"] = [{"key": source.key, "path": _FILE}]
    graph_server, *others = spec["containers"]
    mount = {"name": _VOLUME, "mountPath": names.API_KEYS_FOLDER, "readOnly": True}
    variable = {"name": GraphServerEnvironment.variable("api_keys_file"), "value": names.API_KEYS_FOLDER}
    graph_server = graph_server | {
        "env": [*graph_server["env"], variable],
        "volumeMounts": [*graph_server["volumeMounts"], mount],
    }
    volumes = [*spec["volumes"], {"name": _VOLUME, "secret": secret}]
    return spec | {"containers": [graph_server, *others], "volumes": volumes}
