"""Scheduling policies on a real API server, without a scheduler, the coscheduling plugin or Kueue."""

from fairlead.kube.kinds import POD_GROUP

from tests.integration.conftest import Operator
from tests.integration.test_training_job import create_job, pods_of, wait_for_pods
from tests.support.api_server import Kubectl, condition, wait_for
from tests.support.resources import Object

_INTEGER = {"type": "integer", "format": "int32"}
_SPEC = {"minMember": _INTEGER | {"minimum": 1}, "scheduleTimeoutSeconds": _INTEGER}
POD_GROUP_CRD: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": f"{POD_GROUP.plural}.{POD_GROUP.group}",
        # groups below k8s.io need it
        "annotations": {"api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/scheduler-plugins/pull/50"},
    },
    "spec": {
        "group": POD_GROUP.group,
        "scope": "Namespaced",
        "names": {
            "kind": POD_GROUP.kind, "listKind": "PodGroupList", "plural": POD_GROUP.plural, "singular": "podgroup",
        },
        "versions": [
            {
                "name": POD_GROUP.version,
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"spec": {"type": "object", "properties": _SPEC}},
                    }
                },
            }
        ],
    },
}  # fmt: skip
"""The fields that the operator writes, as scheduler-plugins defines them."""
GANG = {"schedulingPolicy": {"coscheduling": {"schedulerName": "gang", "scheduleTimeoutSeconds": 90}}}


def test_coscheduling_creates_a_pod_group_and_says_if_the_cluster_has_none(
    kubectl: Kubectl, operator: Operator
) -> None:
    create_job(kubectl, "too-early", spec__runPolicy=GANG)

    def look() -> str:
        found = condition(kubectl.get("tj", "too-early"), "Running")
        return str(found.get("message", "")) if found.get("reason") == "Rejected" else ""

    assert "no PodGroup of scheduling.x-k8s.io/v1alpha1" in wait_for(look, "the report of the missing kind")
    assert pods_of(kubectl, "too-early") == {}
    kubectl.apply(POD_GROUP_CRD)
    kubectl("wait", "--for=condition=Established", f"crd/{POD_GROUP_CRD['metadata']['name']}", "--timeout=30s")
    create_job(kubectl, "together", spec__runPolicy=GANG)
    pods = wait_for_pods(kubectl, "together")
    group = kubectl.get(f"{POD_GROUP.plural}.{POD_GROUP.group}", "together")
    assert group["spec"] == {"minMember": 3, "scheduleTimeoutSeconds": 90}
    assert {pod["metadata"]["labels"]["scheduling.x-k8s.io/pod-group"] for pod in pods.values()} == {"together"}
    assert {pod["spec"]["schedulerName"] for pod in pods.values()} == {"gang"}
    wait_for(lambda: pods_of(kubectl, "too-early"), "the pods of the job that came before the definition", 90)


def test_kueue_gets_the_pods_of_a_job_as_a_group(kubectl: Kubectl, operator: Operator) -> None:
    create_job(kubectl, "queued", spec__runPolicy={"schedulingPolicy": {"kueue": {}}})
    wait_for(
        lambda: condition(kubectl.get("tj", "queued"), "Blocked").get("reason") == "QueueMissing", "the missing queue"
    )
    kubectl("label", "tj", "queued", "kueue.x-k8s.io/queue-name=team")
    pods = wait_for_pods(kubectl, "queued")
    for pod in pods.values():
        assert pod["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team"
        assert pod["metadata"]["annotations"]["kueue.x-k8s.io/pod-group-total-count"] == "3"
    groups = {pod["metadata"]["labels"]["kueue.x-k8s.io/pod-group-name"] for pod in pods.values()}
    assert len(groups) == 1


def test_an_unschedulable_pod_is_reported_within_15_seconds(kubectl: Kubectl, operator: Operator) -> None:
    create_job(kubectl, "large")
    wait_for_pods(kubectl, "large")
    words = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
    reported = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}
    kubectl.patch_status("pod", "large-worker-1", {"conditions": [reported]})

    def look() -> Object:
        found = condition(kubectl.get("tj", "large"), "Running")
        return found if found.get("reason") == "Unschedulable" else {}

    found = wait_for(look, "the report of the unschedulable pod", 15)
    assert found["message"] == f"Worker 1 cannot start: Unschedulable: {words}"
