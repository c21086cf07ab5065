"""Defaults that make a pod pass Pod Security `restricted`. Values that the user sets take precedence."""

from typing import Any

_CONTAINER_SECURITY = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
_POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "fsGroup": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def restricted_pod_spec(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a pod spec with unprivileged defaults, no API token and no service links."""
    result = spec | {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": _POD_SECURITY | spec.get("securityContext", {}),
    }
    for key in ("containers", "initContainers"):
        if key in spec:
            result[key] = [
                container | {"securityContext": _CONTAINER_SECURITY | container.get("securityContext", {})}
                for container in spec[key]
            ]
    return result


def pod_ip_variable() -> dict[str, Any]:
    """Return the variable POD_IP from the downward API."""
    return {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
