"""What the operator did in all tests before this one, compared with what its service account may do."""

import subprocess

import yaml

from tests.e2e.conftest import SYSTEM
from tests.support.api_server import Kubectl
from tests.support.rbac_audit import compare

_LOG = "/var/log/kubernetes/audit.log"
_UNUSED = {
    "get networkpolicies.networking.k8s.io",  # to find the owner of one that exists already
    "update leases.coordination.k8s.io",
}
"""Permissions for what happens in no test here, and why they are needed."""


def test_the_operator_uses_what_it_is_granted_and_nothing_else(kubectl: Kubectl, operator: None) -> None:
    log = subprocess.run(
        ["docker", "exec", "fairlead-control-plane", "cat", _LOG], capture_output=True, text=True, check=True
    ).stdout
    kinds = "roles,rolebindings,clusterroles,clusterrolebindings"
    rbac = yaml.safe_load(kubectl("get", kinds, "-A", "-o", "yaml"))["items"]
    usage = compare(log.splitlines(), rbac, f"{SYSTEM}/fairlead")
    print(f"granted: {sorted(map(str, usage.granted))}")
    print(f"used: {sorted(map(str, usage.used))}")
    assert usage.used, "the API server recorded no request of the operator"
    assert usage.missing == []
    assert set(usage.unused) <= _UNUSED
