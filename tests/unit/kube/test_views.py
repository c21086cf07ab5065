"""Views of Kubernetes objects."""

from datetime import UTC, datetime
from typing import Any

import pytest
from fairlead.kube.job_views import view_job
from fairlead.kube.views import view_child, view_pod, view_revision


def make_pod(**status: Any) -> dict[str, Any]:
    labels = {"fairlead.dev/role": "worker", "fairlead.dev/worker-index": "3", "fairlead.dev/attempt": "1"}
    return {"metadata": {"name": "p", "uid": "u", "labels": labels}, "status": status}


def ended(code: int, message: str = "") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "message": message}}


def test_labels_identify_the_worker_and_the_attempt() -> None:
    view = view_pod(make_pod())
    assert (view.role, view.index, view.attempt, view.phase) == ("worker", 3, 1, "Pending")


@pytest.mark.parametrize("ours_first", [True, False])
def test_our_own_container_determines_the_view_of_the_pod(ours_first: bool) -> None:
    statuses = [{"name": "trainer", "state": ended(7, "why")}, {"name": "istio-proxy", "state": ended(1, "proxy")}]
    view = view_pod(make_pod(phase="Failed", containerStatuses=statuses if ours_first else statuses[::-1]))
    assert (view.phase, view.exit_code, view.termination_message) == ("Failed", 7, "why")


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (3, "Failed")])
def test_a_sidecar_that_keeps_running_does_not_delay_the_result(code: int, phase: str) -> None:
    statuses = [{"name": "istio-proxy", "state": {"running": {}}}, {"name": "trainer", "state": ended(code, "m")}]
    view = view_pod(make_pod(phase="Running", containerStatuses=statuses))
    assert (view.phase, view.sidecars, view.exit_code, view.termination_message) == (phase, True, code, "m")


def test_a_failing_sidecar_does_not_fail_the_training() -> None:
    statuses = [{"name": "proxy", "state": ended(1)}, {"name": "trainer", "state": ended(0, "report")}]
    view = view_pod(make_pod(phase="Failed", containerStatuses=statuses))
    assert (view.phase, view.sidecars, view.exit_code) == ("Succeeded", False, 0)


def test_an_init_container_that_failed_is_reported() -> None:
    init = [{"name": "download", "state": ended(7, "no network")}]
    waiting = [{"name": "trainer", "state": {"waiting": {"reason": "PodInitializing"}}}]
    view = view_pod(make_pod(phase="Failed", initContainerStatuses=init, containerStatuses=waiting))
    assert (view.phase, view.exit_code, view.termination_message) == ("Failed", 7, "no network")


def test_a_graph_server_that_ended_is_restarted_and_decides_nothing() -> None:
    pod = {"metadata": {"name": "p", "uid": "u"}, "status": {"phase": "Running", "containerStatuses": [
        {"name": "graph-server", "state": ended(1, "why"), "restartCount": 1}]}}  # fmt: skip
    assert (view_pod(pod).phase, view_pod(pod).termination_message) == ("Running", "why")


def test_a_pod_that_should_be_gone_says_since_when() -> None:
    pod = make_pod(phase="Running")
    pod["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    assert view_pod(pod).deletion_time == datetime(2026, 3, 1, 12, tzinfo=UTC)


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
    view = view_pod(make_pod(conditions=[condition]))
    assert (view.unscheduled, view.waiting) == ("Unschedulable", "Unschedulable: 0/2 nodes")
    assert view_pod(make_pod(conditions=[condition | {"status": "True"}])).unscheduled == ""


@pytest.mark.parametrize(
    ("status", "disruption"),
    [
        ({"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]},
         "EvictionByEvictionAPI"),
        ({"conditions": [{"type": "DisruptionTarget", "status": "False", "reason": "EvictionByEvictionAPI"}]}, ""),
        ({"conditions": [{"type": "TerminationTarget", "status": "True", "reason": "WorkloadEvicted", "message": "x"}]},
         "WorkloadEvicted: x"),
        ({"phase": "Failed", "reason": "Evicted", "message": "low on memory"}, "Evicted: low on memory"),
        ({"phase": "Failed", "reason": "UnexpectedAdmissionError"}, ""),
        ({"phase": "Running", "reason": "NodeLost"}, ""),
    ],
)  # fmt: skip
def test_a_disruption_is_read_from_the_condition_or_from_an_eviction(status: dict[str, Any], disruption: str) -> None:
    assert view_pod(make_pod(**status)).disruption == disruption


def test_a_deployment_with_old_pods_is_not_settled() -> None:
    deployment = {"metadata": {"name": "d", "uid": "u", "generation": 2}, "spec": {"replicas": 2}}
    rolling = {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "readyReplicas": 3}
    done = rolling | {"replicas": 2, "readyReplicas": 2}
    assert not view_child(deployment | {"status": rolling}).settled
    assert view_child(deployment | {"status": done}).settled
    assert view_child(deployment | {"status": rolling}).desired == 2
    assert not view_child(deployment | {"status": done | {"observedGeneration": 1}}).settled


@pytest.mark.parametrize("label", ["", "x", "-1", "1.5", "²", "9" * 40])
def test_a_label_that_is_no_number_is_no_worker_and_no_attempt(label: str) -> None:
    pod = make_pod()
    pod["metadata"]["labels"] |= {"fairlead.dev/worker-index": label, "fairlead.dev/attempt": label}
    view = view_pod(pod)
    assert (view.index, view.attempt) == (-1, -1)


def test_the_end_is_that_of_our_own_container() -> None:
    state = {"terminated": {"exitCode": 0, "finishedAt": "2026-03-01T12:00:00Z"}}
    later = {"terminated": {"exitCode": 0, "finishedAt": "2026-03-01T13:00:00Z"}}
    pod = make_pod(containerStatuses=[{"name": "proxy", "state": later}, {"name": "trainer", "state": state}])
    assert view_pod(pod).ended == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert view_pod(make_pod(phase="Failed", reason="Evicted")).ended is None


@pytest.mark.parametrize(("ready", "expected"), [("True", True), ("False", False)])
def test_a_pod_of_a_deployment_is_ready_by_its_condition_and_others_never(ready: str, expected: bool) -> None:
    pod = make_pod(conditions=[{"type": "Ready", "status": ready}])
    assert not view_pod(pod).ready
    pod["metadata"]["labels"] = {"fairlead.dev/predictor": "main"}
    view = view_pod(pod)
    assert (view.predictor, view.server, view.ready) == ("main", "main", expected)
    pod["metadata"]["labels"]["fairlead.dev/revision"] = "aaaaaaaa"
    assert (view_pod(pod).revision, view_pod(pod).server, view_pod(pod).ready) == ("aaaaaaaa", "aaaaaaaa", expected)


def test_a_revision_keeps_its_number_and_its_data() -> None:
    view = view_revision({"metadata": {"name": "d-1", "uid": "u"}, "revision": 3, "data": {"image": "x"}})
    assert (view.name, view.number, view.data) == ("d-1", 3, '{"image":"x"}')
    assert view_revision({"metadata": {"name": "d-1", "uid": "u"}}).data == "null"


def make_retraining_job(status: Any, checkpoint: Any = None) -> dict[str, Any]:
    spec = {"checkpoint": checkpoint} if checkpoint else {}
    return {"metadata": {"name": "digits", "uid": "0123456789"}, "spec": spec, "status": status}


def test_a_job_is_seen_with_its_words_its_model_and_its_checkpoints() -> None:
    status = {
        "phase": "Failed", "progress": {"checkpointStep": 20},
        "provenance": [{"name": "dataset", "uri": "s3://d", "digest": "a"},
                       {"name": "model", "uri": "s3://m", "digest": "b"}],
        "conditions": [{"type": "Ready", "status": "False", "message": "no"},
                       {"type": "Failed", "status": "True", "message": "exit code 3"}],
    }  # fmt: skip
    view = view_job(make_retraining_job(status, {"uri": "s3://c"}))
    assert (view.finished, view.message, view.deleting) == (True, "exit code 3", False)
    assert (view.dataset, view.model) == (("s3://d", "a"), ("s3://m", "b"))
    assert view.checkpoints == "s3://c/digits-01234567"


@pytest.mark.parametrize(
    "status",
    [
        {"phase": 3, "provenance": ["x", {"name": "model"}], "conditions": ["y"], "progress": []},
        {"phase": "Failed", "conditions": [{"type": "Failed", "status": "True", "message": ["z"]}]},
        {"phase": "Failed", "conditions": 1, "provenance": 2},
        "no object",
    ],
)
def test_a_status_of_a_job_that_another_client_has_written_harms_nobody(status: Any) -> None:
    view = view_job(make_retraining_job(status, {"uri": "s3://c"}))
    assert (view.message, view.checkpoints, view.dataset) == ("", None, None)


def test_a_job_that_has_saved_nothing_has_no_checkpoints() -> None:
    assert view_job(make_retraining_job({"progress": {"step": 3}}, {"uri": "s3://c"})).checkpoints is None
