"""Reads the ConfigMaps, Secrets and tokens that a pod needs."""

import aiohttp
from fairlead.kube.client import KubeClient
from fairlead.kube.errors import ApiError
from fairlead.kube.kinds import CONFIG_MAP, SECRET, Kind

from fairlead_cluster.local.node.environment import NotConfigured, Sources
from fairlead_cluster.local.node.objects import Object
from fairlead_cluster.local.node.volumes import referenced_objects, token_request


async def load_sources(client: KubeClient, pod: Object) -> Sources:
    """Return what exists of the objects that a pod names, and a token for its service account if it needs one.

    Raises NotConfigured if the API server does not respond: the pod then waits.
    """
    try:
        return await _load(client, pod)
    except (aiohttp.ClientError, ApiError, TimeoutError) as error:
        raise NotConfigured(f"the API server: {error or type(error).__name__}") from error


async def _load(client: KubeClient, pod: Object) -> Sources:
    config_maps, secrets = referenced_objects(pod)
    namespace = pod["metadata"]["namespace"]
    found = {
        kind: {name: item for name in names if (item := await _find(client, kind, name, namespace))}
        for kind, names in ((CONFIG_MAP, config_maps), (SECRET, secrets))
    }
    return Sources(found[CONFIG_MAP], found[SECRET], await _token(client, pod))


async def _find(client: KubeClient, kind: Kind, name: str, namespace: str) -> Object | None:
    try:
        return await client.find(kind, name, namespace)
    except ApiError as error:
        # the node authorizer learns a moment after the scheduler that this pod is ours
        if error.code == 403:
            return None
        raise


async def _token(client: KubeClient, pod: Object) -> str | None:
    request = token_request(pod)
    if request is None:
        return None
    account, meta = pod["spec"].get("serviceAccountName", "default"), pod["metadata"]
    kind = Kind("", "v1", f"serviceaccounts/{account}/token", "TokenRequest")
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "audiences": [request["audience"]] if "audience" in request else [],
            "expirationSeconds": request.get("expirationSeconds", 3607),
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]},
        },
    }
    try:
        answer = await client.create(kind, body, meta["namespace"])
    except ApiError as error:
        if error.code in (403, 404):
            return None
        raise
    return str(answer["status"]["token"])
