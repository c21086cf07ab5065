"""Compares the permissions that service accounts used, by an API server's audit log, with those that they were granted.

    kubectl get roles,rolebindings,clusterroles,clusterrolebindings -A -o yaml > rbac.yaml
    python -m tests.support.rbac_audit audit.log rbac.yaml fairlead-system/fairlead-operator

The log needs level Metadata for the accounts' requests (`write_policy`). Exits 1 if a permission was not used, or used
without a grant.
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

Object = dict[str, Any]
POLICY: Object = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, {"level": "None"}],
}
"""The API server's --audit-policy-file."""


class Permission(NamedTuple):
    """A verb on a resource (`pods`, `pods/log`) of an API group."""

    verb: str
    group: str
    resource: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"


@dataclass(frozen=True)
class Usage:
    """What an account was granted, used, and was denied."""

    granted: frozenset[Permission]
    used: frozenset[Permission]
    denied: frozenset[Permission]

    @property
    def unused(self) -> list[str]:
        """Return the granted permissions that no request used."""
        return sorted(map(str, self.granted - self.used))

    @property
    def missing(self) -> list[str]:
        """Return what was denied, or used by another grant than the account's own roles."""
        return sorted(map(str, self.denied | (self.used - self.granted)))


def compare(lines: Iterable[str], rbac: Iterable[Object], account: str) -> Usage:
    """Compare an audit log's lines with the roles and bindings of an account, `namespace/name`."""
    used, denied = set(), set()
    for line in lines:
        event = json.loads(line) if line.strip() else {}
        if event.get("user", {}).get("username") != f"system:serviceaccount:{account.replace('/', ':')}":
            continue
        reference = event.get("objectRef")
        if event.get("stage") != "ResponseComplete" or not reference or "resource" not in reference:
            continue
        name = "/".join(part for part in (reference["resource"], reference.get("subresource")) if part)
        permission = Permission(event["verb"], reference.get("apiGroup", ""), name)
        allowed = event.get("annotations", {}).get("authorization.k8s.io/decision", "allow") == "allow"
        (used if allowed else denied).add(permission)
    return Usage(frozenset(find_granted(rbac, account)), frozenset(used), frozenset(denied))


def find_granted(rbac: Iterable[Object], account: str) -> set[Permission]:
    """Return the permissions that roles and bindings grant an account itself, and not to every account."""
    objects = list(rbac)
    rules = {
        (obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]): obj.get("rules") or []
        for obj in objects
        if obj["kind"] in ("Role", "ClusterRole")
    }
    granted = set()
    for obj in objects:
        if obj["kind"] not in ("RoleBinding", "ClusterRoleBinding") or not _binds(obj, account):
            continue
        role = obj["roleRef"]
        namespace = obj["metadata"].get("namespace", "") if role["kind"] == "Role" else ""
        for rule in rules.get((role["kind"], namespace, role["name"]), ()):
            granted |= {
                Permission(verb, group, resource)
                for verb in rule["verbs"]
                for group in rule.get("apiGroups", ())
                for resource in rule.get("resources", ())
            }
    return granted


def _binds(binding: Object, account: str) -> bool:
    namespace, _, name = account.partition("/")
    default = binding["metadata"].get("namespace", "")
    return any(
        subject["kind"] == "ServiceAccount"
        and (subject.get("namespace", default), subject["name"]) == (namespace, name)
        for subject in binding.get("subjects") or ()
    )


def write_policy(path: Path) -> None:
    """Write the audit policy that the comparison needs."""
    path.write_text(yaml.safe_dump(POLICY))


def main(log: str, rbac: str, account: str) -> int:
    """Print what is unused and what is missing; return 1 if there is any."""
    objects = [
        obj for document in yaml.safe_load_all(Path(rbac).read_text()) for obj in document.get("items", [document])
    ]
    with Path(log).open() as lines:
        usage = compare(lines, objects, account)
    for title, found in (("granted and not used", usage.unused), ("used or denied without a grant", usage.missing)):
        sys.stdout.write("".join(f"{account}: {title}: {permission}\n" for permission in found))
    sys.stdout.write(f"{account}: {len(usage.granted)} granted, {len(usage.used)} used\n")
    return 1 if usage.unused or usage.missing else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
