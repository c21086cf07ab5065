"""Features of pods that a process node does not support: reported by name, never ignored. Pure."""

from fairlead_cluster.local.node.objects import Object, init_containers, pod_containers

VOLUMES = ("emptyDir", "configMap", "secret", "downwardAPI", "projected")
_PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def check_support(pod: Object) -> list[str]:
    """Return what a process node does not support of a pod; empty if it supports everything."""
    problems = [problem for volume in pod["spec"].get("volumes") or [] for problem in _check_volume(volume)]
    if pod["spec"].get("activeDeadlineSeconds"):
        problems.append("activeDeadlineSeconds: not supported on a process node")
    for container in [*init_containers(pod), *pod_containers(pod)]:
        problems += [f"container {container['name']!r}: {problem}" for problem in _check_container(container)]
    return problems


def _check_volume(volume: Object) -> list[str]:
    kinds = [key for key in volume if key != "name"] or ["emptyDir"]
    if kinds[0] in VOLUMES:
        return []
    return [f"volume {volume['name']!r}: got {kinds[0]}, expected one of {', '.join(VOLUMES)} on a process node"]


def _check_container(container: Object) -> list[str]:
    problems = []
    if container.get("restartPolicy"):
        problems.append("restartPolicy: a process node has no sidecar init containers")
    if "postStart" in (container.get("lifecycle") or {}):
        problems.append("lifecycle.postStart: a process node has preStop hooks only")
    problems += [
        f"{kind}: got grpc, expected exec, httpGet or tcpSocket on a process node"
        for kind in _PROBES
        if "grpc" in (container.get(kind) or {})
    ]
    return problems
