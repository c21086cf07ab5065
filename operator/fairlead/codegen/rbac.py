"""The operator's RBAC rules, generated from the table of kinds and verbs."""

from typing import Any

from fairlead.kube.kinds import LEASE, OPERATOR_KINDS

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
    return rules


def build_lease_rules() -> list[dict[str, Any]]:
    """Return the rules of the Role for leader election, in the operator's own namespace."""
    return [{"apiGroups": [LEASE.group], "resources": [LEASE.plural], "verbs": list(LEASE.verbs)}]
