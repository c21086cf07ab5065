"""Connection to the cluster, with a kubeconfig or a pod's service account."""

import os
from dataclasses import dataclass
from pathlib import Path

import yaml
from kubernetes import client, config

from fairlead.client.errors import Unreachable

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class Connection:
    """An API client and its default namespace."""

    api: client.ApiClient
    namespace: str


def connect(kubeconfig: Path | None = None, context: str | None = None) -> Connection:
    """Connect with `kubeconfig`, else $KUBECONFIG, else ~/.kube/config, else a pod's service account.

    Raises Unreachable if none exists or the file cannot be read.
    """
    # the library reads $KUBECONFIG only on import, and only warns about a missing file
    named = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG", "")
    default = Path.home() / ".kube" / "config"
    try:
        if named or default.exists():
            return _connect_by_file(named or str(default), context)
        configuration = client.Configuration()
        config.load_incluster_config(configuration)
    except (config.ConfigException, yaml.YAMLError, OSError, ValueError) as error:
        where = named or f"{default}, or a pod's service account"
        remedy = "set KUBECONFIG or run `fairlead up`"
        raise Unreachable(f"no cluster: expected a kubeconfig in {where}: {error}; {remedy}") from None
    return Connection(client.ApiClient(configuration), _pod_namespace())


def _connect_by_file(files: str, context: str | None) -> Connection:
    if missing := [path for path in files.split(os.pathsep) if path and not Path(path).exists()]:
        raise config.ConfigException(f"{missing[0]} does not exist")
    _, active = config.list_kube_config_contexts(files)
    if context:
        contexts, _ = config.list_kube_config_contexts(files)
        active = next((item for item in contexts if item["name"] == context), active)
    configuration = client.Configuration()
    config.load_kube_config(files, context=context, client_configuration=configuration)
    return Connection(client.ApiClient(configuration), str(active["context"].get("namespace", "default")))


def _pod_namespace() -> str:
    try:
        return _NAMESPACE_FILE.read_text().strip() or "default"
    except OSError:
        return "default"
