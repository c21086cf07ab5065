"""The operator's RBAC rules, generated from the table of kinds and verbs."""

from typing import Any

from fairlead.core.names import SCOPE_LEASE
from fairlead.kube.kinds import LEASE, MODEL_DEPLOYMENT, OPERATOR_KINDS, WATCHED

NAME = "fairlead-operator"


def build_rules() -> list[dict[str, Any]]:
    """Return the rules of the operator's Role or ClusterRole."""
    rules = []
    for kind in OPERATOR_KINDS:
        if kind is LEASE:
            continue
        rules.append({"apiGroups": [kind.group], "resources": [kind.plural], "verbs": sorted(set(kind.verbs))})
        rules += [
            {"apiGroups": [kind.group], "resources": [f"{kind.plural}/{sub}"], "verbs": list(verbs)}
            for sub, verbs in kind.subresources
        ]
    # where installations meet; a rule for creations cannot have a name
    leases = {"apiGroups": [LEASE.group], "resources": [LEASE.plural]}
    rules.append(leases | {"verbs": ["create"]})
    rules.append(leases | {"resourceNames": [SCOPE_LEASE], "verbs": ["get", "list", "update"]})
    return rules


def build_lease_rules() -> list[dict[str, Any]]:
    """Return the rules of the Role for leader election, in the operator's own namespace."""
    return [{"apiGroups": [LEASE.group], "resources": [LEASE.plural], "verbs": list(LEASE.verbs)}]


def build_user_rules() -> dict[str, list[dict[str, Any]]]:
    """Return the rules that users get with the ClusterRoles view, edit and admin, by role.

    admin gets what edit gets.
    """
    resources, groups = sorted(kind.plural for kind in WATCHED), sorted({kind.group for kind in WATCHED})
    statuses, scales = [f"{name}/status" for name in resources], [f"{MODEL_DEPLOYMENT.plural}/scale"]
    view = [{"apiGroups": groups, "resources": resources + statuses + scales, "verbs": ["get", "list", "watch"]}]
    edit = [
        {
            "apiGroups": groups,
            "resources": resources,
            "verbs": ["create", "delete", "deletecollection", "patch", "update"],
        },
        {"apiGroups": groups, "resources": scales, "verbs": ["patch", "update"]},
    ]
    return {"view": view, "edit": view + edit}


def build_user_roles(prefix: str) -> list[dict[str, Any]]:
    """Return ClusterRoles that the API server adds to view, edit and admin."""
    targets = {"view": ("view", "edit", "admin"), "edit": ("edit", "admin")}
    return [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {
                "name": f"{prefix}-{role}",
                "labels": {f"rbac.authorization.k8s.io/aggregate-to-{target}": "true" for target in targets[role]},
            },
            "rules": rules,
        }
        for role, rules in build_user_rules().items()
    ]
