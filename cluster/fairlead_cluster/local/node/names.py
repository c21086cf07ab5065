"""The cluster's DNS, as a hosts file: Services, and pods with a hostname and a subdomain. Pure."""

from collections.abc import Iterable

from fairlead_cluster.local.node.objects import Object, pod_finished, pod_ready

DOMAIN = "svc.cluster.local"


def search_list(namespace: str) -> str:
    """Return what short names are completed with in a namespace."""
    return f"{namespace}.{DOMAIN} {DOMAIN} cluster.local"


def build_hosts(services: Iterable[Object], pods: Iterable[Object]) -> str:
    """Return a hosts file: one line an address and name, full names only."""
    pods = [pod for pod in pods if pod.get("status", {}).get("podIP") and not pod_finished(pod)]
    lines: set[str] = set()
    for service in services:
        meta, spec = service["metadata"], service["spec"]
        name = f"{meta['name']}.{meta['namespace']}.{DOMAIN}"
        if spec.get("clusterIP") not in (None, "", "None"):
            lines.add(f"{spec['clusterIP']} {name}")
            continue
        for pod in selected_pods(service, pods):
            if pod_ready(pod) or spec.get("publishNotReadyAddresses"):
                lines.add(f"{pod['status']['podIP']} {name}")
                if pod["spec"].get("subdomain") == meta["name"] and pod["spec"].get("hostname"):
                    lines.add(f"{pod['status']['podIP']} {pod['spec']['hostname']}.{name}")
    return "".join(f"{line}\n" for line in sorted(lines))


def selected_pods(service: Object, pods: Iterable[Object]) -> list[Object]:
    """Return the pods that a Service's selector chooses; none where it has no selector."""
    selector = service["spec"].get("selector")
    if not selector:
        return []
    return [
        pod
        for pod in pods
        if pod["metadata"]["namespace"] == service["metadata"]["namespace"]
        and selector.items() <= (pod["metadata"].get("labels") or {}).items()
    ]
