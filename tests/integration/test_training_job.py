"""TrainingJobs on a real API server, with the operator as a separate process; the test acts as the kubelet."""

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fairlead_artifacts import Parent, publish, validation_uri

from tests.integration.conftest import POD_ADDRESS, Operator
from tests.support.api_server import Kubectl, condition, running_operator, wait_for
from tests.support.launchers import SimulatedLaunchers
from tests.support.ports import free_port
from tests.support.requests import count_requests
from tests.support.resources import DIGEST, TRAINING_JOB, Object, change

SUCCESS = {"model": {"uri": "file:///models/x", "digest": DIGEST, "version": "x"}, "progress": {"step": 9}}
FAILURE = {"failure": {"worker": 1, "rank": 1, "exitCode": 3, "signal": None, "reason": "Exited", "logTail": "boom"}}


def create_job(kubectl: Kubectl, name: str, **changes: Any) -> None:
    kubectl.apply(change(TRAINING_JOB, metadata__name=name, **changes))


def pods_of(kubectl: Kubectl, job: str) -> dict[str, Object]:
    items = kubectl.list("pods", labels=f"fairlead.dev/job={job}")
    return {item["metadata"]["name"].removeprefix(f"{job}-"): item for item in items}


def wait_for_pods(kubectl: Kubectl, job: str, attempt: int = 0) -> dict[str, Object]:
    def look() -> dict[str, Object] | None:
        pods = {
            name: pod for name, pod in pods_of(kubectl, job).items()
            if pod["metadata"]["labels"]["fairlead.dev/attempt"] == str(attempt)
        }  # fmt: skip
        return pods if len(pods) == 3 else None

    return dict(wait_for(look, f"three pods of {job}, attempt {attempt}"))


def container_status(pod: str, **state: Any) -> Object:
    """Return the status of a pod's main container."""
    name = "launcher" if pod.endswith("-launcher") else "trainer"
    ready = "running" in state
    return {"name": name, "ready": ready, "state": state, "image": "x", "imageID": "x", "restartCount": 0}


def run_pods(kubectl: Kubectl, job: str) -> None:
    def run(pod: str) -> None:
        statuses = [container_status(pod, running={})]
        address = {"podIP": POD_ADDRESS, "podIPs": [{"ip": POD_ADDRESS}]}
        kubectl.patch_status("pod", pod, {"phase": "Running", "containerStatuses": statuses, **address})

    with ThreadPoolExecutor() as pool:
        list(pool.map(run, [f"{job}-{name}" for name in ("launcher", "worker-0", "worker-1")]))


def finish_pod(kubectl: Kubectl, pod: str, code: int, message: Object | None, sidecar: bool = False) -> None:
    ended = {"exitCode": code, "message": json.dumps(message) if message else "", "containerID": "x"}
    statuses = [container_status(pod, terminated=ended)]
    phase = "Failed" if code else "Succeeded"
    if sidecar:
        phase, statuses = "Running", [{**container_status(pod, running={}), "name": "istio-proxy"}, *statuses]
    kubectl.patch_status("pod", pod, {"phase": phase, "containerStatuses": statuses})


def wait_for_condition(kubectl: Kubectl, job: str, type_: str) -> Object:
    def look() -> Object:
        found = condition(kubectl.get("tj", job), type_)
        return found if found.get("status") == "True" else {}

    return dict(wait_for(look, f"{type_} of {job}"))


def test_job_succeeds_with_at_most_nine_writes(kubectl: Kubectl, operator: Operator) -> None:
    kubectl("delete", "tj,mdep", "--all")  # other resources may be retried, which would be counted
    before, start = count_requests(operator.port), time.monotonic()
    create_job(kubectl, "counted", spec__model={"uri": "file:///models"})
    pods = wait_for_pods(kubectl, "counted")
    assert pods["worker-1"]["spec"]["securityContext"]["runAsNonRoot"] is True
    run_pods(kubectl, "counted")
    wait_for_condition(kubectl, "counted", "Running")
    # Secret, NetworkPolicy, Service, launcher, two workers, one status; what is slow adds one a second at most
    assert count_requests(operator.port).writes - before.writes <= 7 + int(time.monotonic() - start)
    for worker in ("worker-0", "worker-1"):
        finish_pod(kubectl, f"counted-{worker}", 0, None)
    finish_pod(kubectl, "counted-launcher", 0, SUCCESS)
    wait_for_condition(kubectl, "counted", "Succeeded")
    job = kubectl.get("tj", "counted")
    assert job["status"]["modelVersion"] == "x"
    assert job["status"]["provenance"] == [{"name": "model", "uri": "file:///models/x", "digest": DIGEST}]
    wait_for(lambda: not kubectl.get("service", "counted-pods"), "the deletion of the Service", 30)
    assert len(pods_of(kubectl, "counted")) == 3
    after = count_requests(operator.port)
    # the verdict and the deletion of the Service
    assert after.writes - before.writes <= 9 + int(time.monotonic() - start)
    assert after.reads == before.reads


def test_job_runs_once_all_workers_have_registered(
    kubectl: Kubectl, operator: Operator, launchers: SimulatedLaunchers
) -> None:
    launchers.missing = (1,)
    try:
        create_job(kubectl, "registering")
        wait_for_pods(kubectl, "registering")
        run_pods(kubectl, "registering")

        def look() -> Object:
            job = kubectl.get("tj", "registering")
            return job if condition(job, "Running").get("reason") == "WorkersRegistering" else {}

        waiting = wait_for(look, "the report of the missing worker", 30)
    finally:
        launchers.missing = ()
    assert waiting["status"]["phase"] == "Pending"
    assert condition(waiting, "Running")["status"] == "False"
    assert condition(waiting, "Running")["message"] == "1 of 2 workers has registered; waiting for worker 1."
    wait_for_condition(kubectl, "registering", "Running")


def test_failed_worker_is_retried_and_then_named(kubectl: Kubectl, operator: Operator) -> None:
    create_job(kubectl, "failing", spec__runPolicy={"backoffLimit": 1})
    for attempt in (0, 1):
        wait_for_pods(kubectl, "failing", attempt)
        run_pods(kubectl, "failing")
        wait_for(lambda: kubectl.get("tj", "failing").get("status", {}).get("phase") == "Running", "Running")
        finish_pod(kubectl, "failing-worker-1", 3, FAILURE)
    failed = wait_for_condition(kubectl, "failing", "Failed")
    assert failed["reason"] == "WorkerExited"
    assert failed["message"] == "Worker 1 (rank 1) exited with code 3. Last lines of its log:\nboom"
    assert kubectl.get("tj", "failing")["status"]["workers"]["restarts"] == 1
    events = [event["note"] for event in kubectl.list("events.events.k8s.io")]
    assert any("Worker 1 (rank 1) exited with code 3" in note for note in events)


def test_a_log_that_yaml_could_not_hold_is_quoted_as_plain_text(kubectl: Kubectl, operator: Operator) -> None:
    log = "\x7f\x1b[1;31mred\x1b[0m\r50 %\r\n\x85\x9b\x00\ufffe\u2028\ufeff█😀 end"
    create_job(kubectl, "odd-log", spec__runPolicy={"backoffLimit": 0})
    wait_for_pods(kubectl, "odd-log", 0)
    run_pods(kubectl, "odd-log")
    wait_for_condition(kubectl, "odd-log", "Running")
    finish_pod(kubectl, "odd-log-worker-1", 3, {"failure": FAILURE["failure"] | {"logTail": log}})
    # read with `kubectl get -o yaml`, which fails for what YAML cannot hold
    message = wait_for_condition(kubectl, "odd-log", "Failed")["message"]
    assert message.endswith("log:\n\ufffdred\n50 %\n\ufffd\ufffd\ufffd\ufffd\u2028\ufeff█😀 end")


def test_job_stays_blocked_until_its_dataset_is_validated(kubectl: Kubectl, operator: Operator, tmp_path: Path) -> None:
    uri = f"file://{tmp_path}/store/digits"
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "data").write_text("1")
    digest = publish(tmp_path / "source", uri, kind="dataset", producer="test/1").digest
    create_job(kubectl, "gated", spec__dataset={"uri": uri, "digest": digest, "requireValidation": True})
    blocked = wait_for_condition(kubectl, "gated", "Blocked")
    assert blocked["reason"] == "ValidationMissing"
    assert digest in blocked["message"]
    assert pods_of(kubectl, "gated") == {}
    publish(
        tmp_path / "source", validation_uri(uri, digest), kind="validation", producer="test/1",
        parents=[Parent("dataset", digest, uri)], parameters={"success": True},
    )  # fmt: skip
    wait_for_pods(kubectl, "gated")
    # the status is written after the pods
    wait_for(lambda: condition(kubectl.get("tj", "gated"), "Blocked")["status"] == "False", "Blocked to be False")
    names = [artifact["name"] for artifact in kubectl.get("tj", "gated")["status"]["provenance"]]
    assert names == ["dataset", "validation"]


def test_dataset_that_does_not_match_its_digest_blocks_the_job(
    kubectl: Kubectl, operator: Operator, tmp_path: Path
) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "data").write_text("1")
    uri = f"file://{tmp_path}/store/digits"
    publish(tmp_path / "source", uri, kind="dataset", producer="test/1")
    create_job(kubectl, "mismatch", spec__dataset={"uri": uri, "digest": DIGEST})
    assert wait_for_condition(kubectl, "mismatch", "Blocked")["reason"] == "DatasetDigestMismatch"


def test_an_elastic_job_replaces_and_scales_its_workers_while_it_runs(kubectl: Kubectl, operator: Operator) -> None:
    create_job(kubectl, "elastic", spec__elastic={"minReplicas": 1, "maxReplicas": 3, "hostCooldownSeconds": 1})
    lost = wait_for_pods(kubectl, "elastic")["worker-1"]["metadata"]["uid"]
    run_pods(kubectl, "elastic")
    wait_for_condition(kubectl, "elastic", "Running")
    finish_pod(kubectl, "elastic-worker-1", 3, None)

    def replaced() -> bool:
        worker = pods_of(kubectl, "elastic").get("worker-1")
        return worker is not None and worker["metadata"]["uid"] != lost

    wait_for(replaced, "another worker 1")
    kubectl("scale", "tj", "elastic", "--replicas=3")
    wait_for(lambda: "worker-2" in pods_of(kubectl, "elastic"), "a third worker")
    kubectl("scale", "tj", "elastic", "--replicas=1")
    wait_for(lambda: set(pods_of(kubectl, "elastic")) == {"launcher", "worker-0"}, "two workers to leave")
    status = kubectl.get("tj", "elastic")["status"]
    assert (status["phase"], status["workers"]["restarts"]) == ("Running", 0)
    (replaced,) = status["elastic"]["replaced"]
    assert (replaced["worker"], replaced["times"]) == (1, 1)
    events = [event for event in kubectl.list("events") if event["involvedObject"]["name"] == "elastic"]
    assert "WorkerReplaced" in [event["reason"] for event in events]


def test_an_elastic_job_is_scaled_within_its_bounds_and_autoscalers_find_its_workers(
    kubectl: Kubectl, operator: Operator
) -> None:
    create_job(kubectl, "scaled", spec__elastic={"minReplicas": 1, "maxReplicas": 3})
    wait_for_pods(kubectl, "scaled")
    run_pods(kubectl, "scaled")
    wait_for_condition(kubectl, "scaled", "Running")
    path = "/apis/fairlead.dev/v1alpha1/namespaces/default/trainingjobs/scaled/scale"
    scale = json.loads(kubectl("get", "--raw", path))
    assert (scale["spec"]["replicas"], scale["status"]["replicas"]) == (2, 2)
    found = json.loads(kubectl("get", "pods", "-o", "json", "-l", scale["status"]["selector"]))["items"]
    assert sorted(pod["metadata"]["name"] for pod in found) == ["scaled-worker-0", "scaled-worker-1"]
    for replicas in (0, 4):
        message = kubectl("scale", "tj", "scaled", f"--replicas={replicas}", check=False)
        assert "replicas" in message
    assert kubectl.get("tj", "scaled")["spec"]["workers"]["replicas"] == 2


def test_a_job_of_a_fixed_size_is_not_scaled(kubectl: Kubectl, operator: Operator) -> None:
    create_job(kubectl, "fixed")
    wait_for_pods(kubectl, "fixed")
    answer = kubectl("scale", "tj", "fixed", "--replicas=3", check=False)
    assert "spec.workers.replicas: can be changed only in an elastic job" in answer
    assert kubectl.get("tj", "fixed")["spec"]["workers"]["replicas"] == 2


def test_template_that_the_api_server_rejects_is_reported_in_a_condition(kubectl: Kubectl, operator: Operator) -> None:
    path = "spec__workers__template__spec__containers__0__resources"
    create_job(kubectl, "rejected", **{path: {"requests": {"cpu": "much"}}})

    def look() -> bool:
        return condition(kubectl.get("tj", "rejected"), "Running").get("reason") == "Rejected"

    wait_for(look, "the rejection")


def test_suspended_job_deletes_its_pods_and_recreates_them(kubectl: Kubectl, operator: Operator) -> None:
    create_job(kubectl, "held")
    wait_for_pods(kubectl, "held")
    create_job(kubectl, "held", spec__runPolicy={"suspend": True})
    wait_for_condition(kubectl, "held", "Suspended")
    wait_for(lambda: not pods_of(kubectl, "held"), "no pods")
    create_job(kubectl, "held", spec__runPolicy={"suspend": False})
    wait_for_pods(kubectl, "held")


def test_disruptions_count_apart_from_failures(kubectl: Kubectl, operator: Operator) -> None:
    create_job(kubectl, "disrupted", spec__runPolicy={"backoffLimit": 0, "disruptionLimit": 2})
    wait_for_pods(kubectl, "disrupted")
    run_pods(kubectl, "disrupted")
    wait_for_condition(kubectl, "disrupted", "Running")
    preempted = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "higher"}
    kubectl.patch_status("pod", "disrupted-worker-0", {"phase": "Failed", "conditions": [preempted]})
    wait_for_pods(kubectl, "disrupted", 1)
    assert "PreemptionByScheduler" in condition(kubectl.get("tj", "disrupted"), "Restarting")["message"]
    run_pods(kubectl, "disrupted")
    wait_for_condition(kubectl, "disrupted", "Running")
    kubectl("delete", "pod", "disrupted-worker-1", "--grace-period=0", "--force")
    wait_for_pods(kubectl, "disrupted", 2)
    workers = kubectl.get("tj", "disrupted")["status"]["workers"]
    assert (workers["restarts"], workers["disruptions"]) == (2, 2)


def test_job_whose_step_does_not_move_fails(kubectl: Kubectl, operator: Operator) -> None:
    create_job(kubectl, "hung", spec__runPolicy={"progressDeadlineSeconds": 2, "backoffLimit": 0})
    wait_for_pods(kubectl, "hung")
    run_pods(kubectl, "hung")
    wait_for_condition(kubectl, "hung", "Running")

    def look() -> Object:
        return condition(kubectl.get("tj", "hung"), "Failed")

    failed = wait_for(lambda: look() if look().get("status") == "True" else {}, "the end of the job", 60)
    assert failed["reason"] == "ProgressDeadlineExceeded"


def test_finished_job_is_deleted_after_its_time_even_if_that_is_set_later(kubectl: Kubectl, operator: Operator) -> None:
    create_job(kubectl, "kept")
    wait_for_pods(kubectl, "kept")
    run_pods(kubectl, "kept")
    wait_for_condition(kubectl, "kept", "Running")
    finish_pod(kubectl, "kept-launcher", 0, SUCCESS)
    wait_for_condition(kubectl, "kept", "Succeeded")
    kubectl("patch", "tj", "kept", "--type=merge", "-p", '{"spec": {"runPolicy": {"ttlSecondsAfterFinished": 1}}}')
    wait_for(lambda: not kubectl.get("tj", "kept"), "the deletion of the job", 30)
    wait_for(lambda: not pods_of(kubectl, "kept"), "the deletion of its pods", 30)


def test_job_of_another_controller_is_left_alone(kubectl: Kubectl, operator: Operator) -> None:
    create_job(kubectl, "foreign", spec__runPolicy={"managedBy": "kueue.x-k8s.io/multikueue"})
    create_job(kubectl, "ours", spec__runPolicy={"managedBy": "fairlead.dev/operator"})
    wait_for_pods(kubectl, "ours")
    kubectl.patch_status("tj", "foreign", {"phase": "Running"})  # as its controller would; the operator must not answer
    create_job(kubectl, "later")
    wait_for_pods(kubectl, "later")
    foreign = kubectl.get("tj", "foreign")
    assert foreign["status"] == {"phase": "Running"}
    assert pods_of(kubectl, "foreign") == {}


def test_deleting_a_job_deletes_its_children(kubectl: Kubectl, operator: Operator) -> None:
    create_job(kubectl, "gone")
    wait_for_pods(kubectl, "gone")
    kubectl("delete", "tj", "gone")

    def children() -> list[Object]:
        kinds = ("pods", "services", "secrets")
        return [item for kind in kinds for item in kubectl.list(kind, labels="fairlead.dev/job=gone")]

    wait_for(lambda: not children(), "no children", 30)


@pytest.mark.parametrize("moment", ["before pods run", "while pods run"])
def test_killed_operator_reaches_the_same_state(kubectl: Kubectl, folder: Path, moment: str) -> None:
    name = f"killed-{moment.split()[0]}"
    port = free_port()
    with running_operator(kubectl, folder, port, FAIRLEAD_LEASE_NAMESPACE="") as process:
        create_job(kubectl, name)
        wait_for_pods(kubectl, name)
        if moment == "while pods run":
            run_pods(kubectl, name)
            wait_for_condition(kubectl, name, "Running")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    run_pods(kubectl, name)
    with running_operator(kubectl, folder, port, FAIRLEAD_LEASE_NAMESPACE=""):
        for worker in ("worker-0", "worker-1"):
            finish_pod(kubectl, f"{name}-{worker}", 0, None)
        finish_pod(kubectl, f"{name}-launcher", 0, SUCCESS)
        wait_for_condition(kubectl, name, "Succeeded")
    assert kubectl.get("tj", name)["status"]["workers"]["restarts"] == 0


def test_sidecars_that_keep_running_do_not_delay_the_verdict(kubectl: Kubectl, operator: Operator) -> None:
    create_job(kubectl, "meshed")
    wait_for_pods(kubectl, "meshed")
    run_pods(kubectl, "meshed")
    wait_for_condition(kubectl, "meshed", "Running")
    for name in ("worker-0", "worker-1"):
        finish_pod(kubectl, f"meshed-{name}", 0, None, sidecar=True)
    finish_pod(kubectl, "meshed-launcher", 0, SUCCESS, sidecar=True)
    wait_for_condition(kubectl, "meshed", "Succeeded")
    wait_for(lambda: not pods_of(kubectl, "meshed"), "the sidecars' pods to be deleted", 30)


def test_a_quota_that_denies_the_second_worker_releases_the_first(kubectl: Kubectl, folder: Path) -> None:
    quota = {"metadata": {"name": "few", "namespace": "few"}, "spec": {"hard": {"pods": "2"}}}
    kubectl("create", "namespace", "few")
    kubectl.apply({"apiVersion": "v1", "kind": "ResourceQuota"} | quota)
    wait_for(lambda: kubectl.get("quota", "few", "few").get("status", {}).get("hard"), "the quota to be in force")
    wait_for(lambda: kubectl.get("serviceaccount", "default", "few"), "the namespace's service account")
    with running_operator(
        kubectl, folder, free_port(), FAIRLEAD_NAMESPACES="few", FAIRLEAD_LEASE_NAMESPACE="",
        FAIRLEAD_CREATION_SECONDS="3",
    ):  # fmt: skip
        kubectl.apply(change(TRAINING_JOB, metadata__name="big", metadata__namespace="few"))

        def reason(expected: str) -> Object:
            job = kubectl.get("tj", "big", "few")
            return job if condition(job, "Running").get("reason") == expected else {}

        held = wait_for(lambda: reason("Rejected"), "the rejection", 30)
        assert "exceeded quota" in condition(held, "Running")["message"]
        assert held["status"]["startTime"]
        released = wait_for(lambda: reason("ResourcesReleased"), "the release", 30)
        assert condition(released, "Created")["status"] == "False"
        wait_for(lambda: not kubectl.list("pods", "few"), "no pods", 30)
        kubectl("delete", "quota", "few", "-n", "few")
        wait_for(lambda: len(kubectl.list("pods", "few")) == 3, "all pods after the backoff", 120)
