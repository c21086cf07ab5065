"""Defaults that make a pod pass Pod Security `restricted`. Values that the user sets take precedence."""

from typing import Any

_CONTAINER_SECURITY = {"allowPrivilegeEscalation": False}
_POD_SECURITY = {
    # no runAsUser and fsGroup: OpenShift assigns them, elsewhere the image's (numeric) user applies
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def restricted_pod_spec(spec: dict[str, Any], pull_secrets: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a pod spec with unprivileged defaults, no API token, no service links, and the pull secrets added."""
    result = spec | {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": _POD_SECURITY | spec.get("securityContext", {}),
    }
    known = spec.get("imagePullSecrets", [])
    added = [{"name": name} for name in pull_secrets if {"name": name} not in known]
    if known or added:
        result["imagePullSecrets"] = known + added
    for key in ("containers", "initContainers"):
        if key in spec:
            result[key] = [_restrict(container) for container in spec[key]]
    return result


def _restrict(container: dict[str, Any]) -> dict[str, Any]:
    context = container.get("securityContext", {})
    capabilities = context.get("capabilities", {}) | {"drop": ["ALL"]}
    return container | {"securityContext": _CONTAINER_SECURITY | context | {"capabilities": capabilities}}


def pod_ip_variable() -> dict[str, Any]:
    """Return the variable POD_IP from the downward API."""
    return {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
