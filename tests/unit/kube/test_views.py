"""Views of Kubernetes objects."""

from typing import Any

import pytest
from fairlead.kube.views import view_child, view_pod


def make_pod(**status: Any) -> dict[str, Any]:
    labels = {"fairlead.dev/role": "worker", "fairlead.dev/worker-index": "3", "fairlead.dev/attempt": "1"}
    return {"metadata": {"name": "p", "uid": "u", "labels": labels}, "status": status}


def ended(code: int, message: str = "") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "message": message}}


def test_labels_identify_the_worker_and_the_attempt() -> None:
    view = view_pod(make_pod())
    assert (view.role, view.index, view.attempt, view.phase) == ("worker", 3, 1, "Pending")


def test_the_failed_container_determines_the_view_of_the_pod() -> None:
    statuses = [{"name": "a", "state": ended(0)}, {"name": "b", "state": ended(7, "why")}]
    view = view_pod(make_pod(phase="Failed", containerStatuses=statuses))
    assert (view.exit_code, view.termination_message) == (7, "why")


def test_a_crash_loop_shows_the_last_run() -> None:
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    status = {"name": "a", "restartCount": 2, "state": waiting, "lastState": ended(1, "model.onnx is truncated")}
    view = view_pod(make_pod(phase="Running", containerStatuses=[status]))
    assert view.waiting == "container a: CrashLoopBackOff: back-off 10s"
    assert (view.restarts, view.termination_message) == (2, "model.onnx is truncated")


def test_a_container_that_is_being_created_is_not_reported() -> None:
    status = {"name": "a", "state": {"waiting": {"reason": "ContainerCreating"}}}
    assert view_pod(make_pod(containerStatuses=[status])).waiting == ""


def test_an_unschedulable_pod_reports_why() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes"}
    assert view_pod(make_pod(conditions=[condition])).waiting == "Unschedulable: 0/2 nodes"


def test_a_deployment_with_old_pods_is_not_settled() -> None:
    deployment = {"metadata": {"name": "d", "uid": "u", "generation": 2}, "spec": {"replicas": 2}}
    rolling = {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "readyReplicas": 3}
    done = rolling | {"replicas": 2, "readyReplicas": 2}
    assert not view_child(deployment | {"status": rolling}).settled
    assert view_child(deployment | {"status": done}).settled
    assert not view_child(deployment | {"status": done | {"observedGeneration": 1}}).settled


@pytest.mark.parametrize("label", ["", "x", "-1", "1.5", "²", "9" * 40])
def test_a_label_that_is_no_number_is_no_worker_and_no_attempt(label: str) -> None:
    pod = make_pod()
    pod["metadata"]["labels"] |= {"fairlead.dev/worker-index": label, "fairlead.dev/attempt": label}
    view = view_pod(pod)
    assert (view.index, view.attempt) == (-1, -1)
