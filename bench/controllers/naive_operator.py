"""The naive operator: kopf with the official client, six plain POSTs per job and no status.

A minimal operator as in kopf's documentation: a handler that creates the children.
Run as `python -m bench.controllers.naive_operator KUBECONFIG`.
"""

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import Any

import kopf
from kubernetes import client, config

from bench.controllers.jobs import NAIVE_GROUP, NAMESPACE, build_children


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Keep kopf's defaults, except for its events."""
    settings.posting.enabled = False


@kopf.on.create(NAIVE_GROUP, "v1", "naivejobs")
def create(name: str, namespace: str | None, spec: kopf.Spec, **_: Any) -> None:
    """Create the children, one after the other."""
    core = client.CoreV1Api()
    objects: list[dict[str, Any]] = [
        *(child for child in build_children(name, spec["workers"]) if child["kind"] != "NetworkPolicy"),
        {"kind": "ConfigMap", "metadata": {"name": f"{name}-hosts"}, "data": {"hosts": "…"}},
    ]
    verbs: dict[str, Callable[[str, Any], Any]] = {
        "Secret": core.create_namespaced_secret,
        "Service": core.create_namespaced_service,
        "ConfigMap": core.create_namespaced_config_map,
        "Pod": core.create_namespaced_pod,
    }
    for obj in objects:
        kopf.adopt(obj)
        verbs[obj["kind"]](namespace or NAMESPACE, obj)


def main() -> None:
    """Run until killed."""
    logging.basicConfig(level=logging.WARNING)
    config.load_kube_config(sys.argv[1])  # type: ignore[no-untyped-call]
    asyncio.run(kopf.operator(namespaces=[NAMESPACE], standalone=True))


if __name__ == "__main__":
    main()
