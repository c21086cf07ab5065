"""The subcommand `install`: what the steps of a pipeline need on an installation of Kubeflow Pipelines."""

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fairlead.client import FairleadClient, FairleadError, NotFound, Object

from fairlead_pipelines.names import STORE_VARIABLES, SUITES

_RBAC = "rbac.authorization.k8s.io"
_NAME = "fairlead-pipelines"
_RULES = (
    (("fairlead.dev",), ("trainingjobs", "modeldeployments"), ("create", "get", "patch")),
    # train checks that the script exists, and follows the logs of the job's pods
    (("",), ("configmaps",), ("get",)),
    (("",), ("pods",), ("get", "list")),
    (("",), ("pods/log",), ("get",)),
)


def add_install(command: argparse.ArgumentParser) -> None:
    """Add the options of `install`."""
    where = command.add_mutually_exclusive_group()
    where.add_argument(
        "--profile", metavar="NAMESPACE",
        help="on multi-user Kubeflow: a profile's namespace, in which the steps run (account default-editor)",
    )  # fmt: skip
    where.add_argument("--steps-namespace", default="kubeflow", help="where the steps run (default: kubeflow)")
    command.add_argument("--account", help="the ServiceAccount of the steps (default: pipeline-runner)")
    command.add_argument("--namespace", help="where jobs and deployments run (default: the profile's, else default)")
    command.add_argument(
        "--script", action="append", default=[], metavar="CONFIGMAP=FILE",
        help="make a ConfigMap of a training script; repeatable",
    )  # fmt: skip
    command.add_argument(
        "--suite", action="append", default=[], type=Path, metavar="FILE",
        help=f"add an expectation suite to the ConfigMap {SUITES}; repeatable, all at once",
    )  # fmt: skip
    command.add_argument(
        "--store-secret", default="artifact-store", metavar="NAME",
        help="make this Secret of the environment's AWS_… variables (default: artifact-store)",
    )  # fmt: skip


def install(client: FairleadClient, options: argparse.Namespace) -> Iterator[str]:
    """Apply everything and yield a line for each object; raise FairleadError.

    The Secret is made of the environment's variables, so that no key is an argument.
    """
    steps = options.profile or options.steps_namespace
    target = options.namespace or options.profile or "default"
    account = options.account or ("default-editor" if options.profile else "pipeline-runner")
    objects = [build_role(), build_binding({"name": account, "namespace": steps})]
    objects += _build_scripts(options.script)
    for obj in objects:
        yield _apply(client, obj, target)
    if options.suite:
        yield _apply(client, _build_config_map(SUITES, {file.name: _read(file) for file in options.suite}), steps)
    known = {name: os.environ[name] for name in STORE_VARIABLES if os.environ.get(name)}
    for namespace in sorted({steps, target}):
        yield _install_secret(client, options.store_secret, known, namespace)


def build_role() -> Object:
    """Build the Role of what the steps `train` and `deploy` may do."""
    rules = [
        {"apiGroups": list(groups), "resources": list(resources), "verbs": list(verbs)}
        for groups, resources, verbs in _RULES
    ]
    return {"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": {"name": _NAME}, "rules": rules}


def build_binding(account: Mapping[str, str]) -> Object:
    """Bind the Role to a ServiceAccount; there is one binding for each."""
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"{_NAME}-{account['namespace']}-{account['name']}"},
        "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": _NAME},
        "subjects": [{"kind": "ServiceAccount", **account}],
    }


def _build_scripts(texts: Sequence[str]) -> list[Object]:
    """Build the ConfigMaps, each with all of its files."""
    data: dict[str, dict[str, str]] = {}
    for text in texts:
        name, found, file = text.partition("=")
        if not found or not name or not file:
            raise FairleadError(f"--script: got {text}, expected CONFIGMAP=FILE")
        data.setdefault(name, {})[Path(file).name] = _read(Path(file))
    return [_build_config_map(name, files) for name, files in data.items()]


def _build_config_map(name: str, data: Mapping[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": dict(data)}


def _install_secret(client: FairleadClient, name: str, variables: Mapping[str, str], namespace: str) -> str:
    if variables:
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque"}
        return _apply(client, secret | {"stringData": dict(variables)}, namespace)
    try:
        client.objects.read(f"/api/v1/namespaces/{namespace}/secrets/{name}")
    except NotFound:
        return f"MISSING: Secret {namespace}/{name}: set AWS_ACCESS_KEY_ID, … and run this again, or create it"
    return f"Secret {namespace}/{name} exists"


def _apply(client: FairleadClient, obj: Object, namespace: str) -> str:
    metadata = obj["metadata"] | {"namespace": namespace}
    client.apply(obj | {"metadata": metadata})
    return f"{obj['kind']} {namespace}/{metadata['name']} applied"


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise FairleadError(f"{file}: cannot be read: {error}") from None
