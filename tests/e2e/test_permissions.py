"""What the operator did in all tests before this one, compared with what its service account may do."""

import subprocess

import yaml

from tests.e2e.conftest import SYSTEM
from tests.support.api_server import Kubectl
from tests.support.rbac_audit import compare

_LOG = "/var/log/kubernetes/audit.log"
_UNUSED = {
    # server-side apply of an object that does not exist yet needs create beside patch, but is logged as patch
    "create configmaps", "create deployments.apps",
    # to see whose an object is whose name is taken
    "get networkpolicies.networking.k8s.io", "get pods", "get secrets",
    # to read a resource again after a conflict
    "get modeldeployments.fairlead.dev", "get trainingjobs.fairlead.dev",
    # after a graph changes or a predictor is removed
    "delete configmaps", "delete deployments.apps",
    # for deployments with spec.rollout
    "create controllerrevisions.apps", "delete controllerrevisions.apps", "get controllerrevisions.apps",
    # for deployments with spec.autoscaling or spec.disruptionBudget
    "create horizontalpodautoscalers.autoscaling", "delete horizontalpodautoscalers.autoscaling",
    "get horizontalpodautoscalers.autoscaling", "patch horizontalpodautoscalers.autoscaling",
    "create poddisruptionbudgets.policy", "delete poddisruptionbudgets.policy",
    "get poddisruptionbudgets.policy", "patch poddisruptionbudgets.policy",
    # for jobs with spec.runPolicy.schedulingPolicy.coscheduling, where its plugin is installed
    "create podgroups.scheduling.x-k8s.io", "get podgroups.scheduling.x-k8s.io",
    "patch podgroups.scheduling.x-k8s.io",
    # for deployments with engine Seldon, where Seldon Core is installed
    *(f"{verb} seldondeployments.machinelearning.seldon.io" for verb in ("create", "get", "list", "patch", "watch")),
    # for deployments with spec.expose
    *(f"{verb} {kind}" for verb in ("create", "delete", "get", "list", "patch", "watch") for kind in (
        "ingresses.networking.k8s.io", "httproutes.gateway.networking.k8s.io", "grpcroutes.gateway.networking.k8s.io",
        "virtualservices.networking.istio.io",
    )),
    # when the time to live of a finished job or sweep is over
    "delete trainingjobs.fairlead.dev", "delete sweeps.fairlead.dev",
    # for trials that are suspended, and a Sweep that is read again
    "patch trainingjobs.fairlead.dev", "get sweeps.fairlead.dev",
}  # fmt: skip
"""Permissions for what may not happen in these tests, and why they are needed."""


def test_the_operator_uses_what_it_is_granted_and_nothing_else(kubectl: Kubectl, operator: None) -> None:
    log = subprocess.run(
        ["docker", "exec", "fairlead-control-plane", "cat", _LOG], capture_output=True, text=True, check=True
    ).stdout
    kinds = "roles,rolebindings,clusterroles,clusterrolebindings"
    rbac = yaml.safe_load(kubectl("get", kinds, "-A", "-o", "yaml"))["items"]
    usage = compare(log.splitlines(), rbac, f"{SYSTEM}/fairlead-operator")
    print(f"granted: {sorted(map(str, usage.granted))}")
    print(f"used: {sorted(map(str, usage.used))}")
    assert usage.used, "the API server recorded no request of the operator"
    # while it is uninstalled, the operator may lose a permission before it ends
    assert sorted(map(str, (usage.used | usage.denied) - usage.granted)) == []
    assert set(usage.unused) <= _UNUSED
