"""The comparison of an audit log with the generated permissions of the operator."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from fairlead_cluster.base.home import CHECKOUT

from tests.support.rbac_audit import POLICY, Permission, compare, find_granted, main, write_policy

ACCOUNT = "fairlead-system/fairlead-operator"
USER = "system:serviceaccount:fairlead-system:fairlead-operator"
ROLE = {
    "kind": "ClusterRole", "metadata": {"name": "operator"}, "rules": [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "create"]},
        {"apiGroups": ["fairlead.dev"], "resources": ["trainingjobs/status"], "verbs": ["patch"]},
    ],
}  # fmt: skip
SUBJECTS = [{"kind": "ServiceAccount", "name": "fairlead-operator", "namespace": "fairlead-system"}]
BINDING = {
    "kind": "ClusterRoleBinding", "metadata": {"name": "operator"}, "subjects": SUBJECTS,
    "roleRef": {"kind": "ClusterRole", "name": "operator"},
}  # fmt: skip


def request(verb: str, resource: str, user: str = USER, **more: Any) -> str:
    group, _, name = resource.rpartition(".")
    plural, _, subresource = name.partition("/")
    reference = {"resource": plural, "apiGroup": group, "subresource": subresource}
    return json.dumps(
        {"stage": "ResponseComplete", "verb": verb, "user": {"username": user}, "objectRef": reference} | more
    )


LOG = [
    request("create", "pods"),
    request("list", "pods", user="system:serviceaccount:default:other"),
    request("get", "secrets", annotations={"authorization.k8s.io/decision": "forbid"}),
    json.dumps({"stage": "ResponseComplete", "verb": "get", "user": {"username": USER}, "requestURI": "/version"}),
    "",
]


def test_unused_and_denied_permissions_are_named() -> None:
    usage = compare(LOG, [ROLE, BINDING], ACCOUNT)
    assert usage.used == {Permission("create", "", "pods")}
    assert usage.unused == ["get pods", "patch trainingjobs/status.fairlead.dev"]
    assert usage.missing == ["get secrets"]


def test_a_permission_of_another_grant_is_missing() -> None:
    usage = compare([request("delete", "apps.deployments")], [ROLE, BINDING], ACCOUNT)
    assert usage.missing == ["delete deployments.apps"]


@pytest.mark.parametrize("name", ["fairlead-operator", "other"])
def test_only_the_accounts_own_bindings_count(name: str) -> None:
    subjects = [{"kind": "ServiceAccount", "name": name, "namespace": "fairlead-system"}]
    granted = find_granted([ROLE, BINDING | {"subjects": subjects}], ACCOUNT)
    assert bool(granted) is (name == "fairlead-operator")


def test_the_manifests_grant_no_list_and_no_deletion_of_secrets() -> None:
    files = ("role.yaml", "leader-election.yaml", "bindings.yaml")
    texts = [(CHECKOUT / "manifests" / "rbac" / file).read_text() for file in files]
    objects = [obj for text in texts for obj in yaml.safe_load_all(text)]
    for obj in objects:
        if obj["kind"] in ("Role", "RoleBinding"):
            obj["metadata"]["namespace"] = "fairlead-system"
    granted = find_granted(objects, ACCOUNT)
    assert {permission.verb for permission in granted if permission.resource == "secrets"} == {"create", "get"}
    assert Permission("update", "coordination.k8s.io", "leases") in granted


def test_the_command_fails_if_something_is_unused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "audit.log").write_text("\n".join(LOG))
    (tmp_path / "rbac.yaml").write_text(yaml.safe_dump({"kind": "List", "items": [ROLE, BINDING]}))
    assert main(str(tmp_path / "audit.log"), str(tmp_path / "rbac.yaml"), ACCOUNT) == 1
    assert f"{ACCOUNT}: granted and not used: get pods\n" in capsys.readouterr().out


def test_the_policy_logs_only_service_accounts(tmp_path: Path) -> None:
    write_policy(tmp_path / "policy.yaml")
    assert yaml.safe_load((tmp_path / "policy.yaml").read_text()) == POLICY
