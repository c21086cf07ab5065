"""Ownership is decided by the owner's uid, not by name or labels: other owners' objects are ignored and unchanged."""

import json
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fairlead.api.training_job import TrainingJob
from fairlead.api.training_job_status import Progress
from fairlead.core.conditions import Finding, merge_conditions
from fairlead.core.training_job import phases
from fairlead.kube.children import ChildCache
from fairlead.kube.client import KubeClient
from fairlead.kube.config import load_config
from fairlead.kube.errors import StatusConflict
from fairlead.kube.execute import Writer
from fairlead.kube.kinds import TRAINING_JOB
from fairlead.kube.resources import ResourceCache

from tests.integration.conftest import Operator
from tests.integration.test_model_deployment import create_deployment, make_models, wait_for_reason
from tests.integration.test_training_job import SUCCESS, create_job, finish_pod, pods_of, run_pods, wait_for_pods
from tests.support.api_server import OPERATOR_NAMESPACE, Kubectl, condition, running_operator, wait_for
from tests.support.ports import free_port
from tests.support.requests import count_requests
from tests.support.resources import Object

SCALED: Object = {
    "spec__autoscaling": {
        "minReplicas": 1, "maxReplicas": 4, "targetUtilizationPercentage": 70, "targetConcurrency": 8,
    },
    "spec__disruptionBudget": {"minAvailable": 1},
}  # fmt: skip
LABELS = {"app.kubernetes.io/managed-by": "fairlead"}


def labels_of(job: str, role: str = "worker") -> dict[str, str]:
    """Return the labels of our own pods."""
    return LABELS | {"fairlead.dev/job": job, "fairlead.dev/role": role, "fairlead.dev/attempt": "0"}


def make_foreign(kind: str, name: str, job: str, **content: Any) -> Object:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "labels": labels_of(job)}} | content


FOREIGN = {
    "Secret": make_foreign("Secret", "secret-taken-key", "secret-taken", stringData={"key": "theirs"}),
    "Service": make_foreign("Service", "service-taken-pods", "service-taken", spec={"ports": [{"port": 80}]}),
    "Pod": make_foreign(
        "Pod", "pod-taken-launcher", "pod-taken", spec={"containers": [{"name": "theirs", "image": "example/theirs:1"}]}
    ),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_object_with_a_childs_name_and_labels_is_reported_and_left_alone(
    kubectl: Kubectl, operator: Operator, kind: str
) -> None:
    foreign, job = FOREIGN[kind], f"{kind.lower()}-taken"
    kubectl.apply(foreign)
    name = foreign["metadata"]["name"]
    before = kubectl.get(kind.lower(), name)
    create_job(kubectl, job)

    def look() -> Object:
        found = condition(kubectl.get("tj", job), "Running")
        return found if found.get("reason") == "Rejected" else {}

    message = wait_for(look, "the report")["message"]
    assert message == f"{kind} {name} exists and has another owner; expected the name to be free"
    if kind != "Pod":
        assert pods_of(kubectl, job) == {}
    kubectl("delete", "tj", job)
    assert kubectl.get(kind.lower(), name) == before
    kubectl("delete", kind.lower(), name, "--grace-period=0", "--force")


def test_a_name_that_becomes_free_is_used_at_once(kubectl: Kubectl, operator: Operator) -> None:
    kubectl.apply(make_foreign("Service", "freed-pods", "freed", spec={"ports": [{"port": 80}]}))
    create_job(kubectl, "freed")
    wait_for(lambda: condition(kubectl.get("tj", "freed"), "Running").get("reason") == "Rejected", "the report")
    kubectl("delete", "service", "freed-pods")
    wait_for_pods(kubectl, "freed")


def test_orphans_of_an_earlier_job_of_the_name_are_ignored(kubectl: Kubectl, operator: Operator) -> None:
    create_job(kubectl, "again")
    wait_for_pods(kubectl, "again")
    run_pods(kubectl, "again")
    for name in ("worker-0", "worker-1"):
        finish_pod(kubectl, f"again-{name}", 0, None)
    kubectl("delete", "tj", "again", "--cascade=orphan")
    finish_pod(kubectl, "again-launcher", 0, SUCCESS)
    orphans = {name: pod["metadata"]["uid"] for name, pod in pods_of(kubectl, "again").items()}
    create_job(kubectl, "again")

    def look() -> Object:
        job = kubectl.get("tj", "again")
        return job if condition(job, "Running").get("reason") == "Rejected" else {}

    job = wait_for(look, "the report")
    assert condition(job, "Succeeded")["status"] == "False"
    assert {name: pod["metadata"]["uid"] for name, pod in pods_of(kubectl, "again").items()} == orphans
    others = [("service", "again-pods"), ("networkpolicy", "again-pods"), ("secret", "again-key")]
    for kind, name in [*others, *(("pod", f"again-{n}") for n in orphans)]:
        kubectl("delete", kind, name, "--grace-period=0", "--force")
    pods = wait_for_pods(kubectl, "again")
    assert not {pod["metadata"]["uid"] for pod in pods.values()} & set(orphans.values())


def test_a_foreign_deployment_is_not_adopted(kubectl: Kubectl, operator: Operator, tmp_path: Path) -> None:
    selector = {"app": "theirs"}
    template = {"metadata": {"labels": selector}, "spec": {"containers": [{"name": "a", "image": "example/a:1"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": selector}, "template": template}
    meta = {"name": "theirs-main", "labels": LABELS | {"fairlead.dev/deployment": "theirs"}}
    kubectl.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec})
    create_deployment(kubectl, "theirs", **make_models(tmp_path))
    assert (
        "Deployment theirs-main exists and has another owner"
        in wait_for_reason(kubectl, "theirs", "Rejected")["message"]
    )
    found = kubectl.get("deployment", "theirs-main")
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "example/a:1"
    assert "ownerReferences" not in found["metadata"]


def test_an_unchanged_resource_causes_no_request(kubectl: Kubectl, operator: Operator) -> None:
    kubectl("delete", "tj,mdep", "--all")  # other resources may be retried, which would be counted
    create_job(kubectl, "still")
    wait_for_pods(kubectl, "still")
    run_pods(kubectl, "still")
    wait_for(lambda: kubectl.get("tj", "still").get("status", {}).get("phase") == "Running", "Running")
    before = count_requests(operator.port)
    for number in range(5):
        # each is an event and triggers a reconcile
        kubectl("annotate", "--overwrite", "tj", "still", f"touched={number}")
        kubectl("annotate", "--overwrite", "pod", "still-launcher", f"touched={number}")
    assert count_requests(operator.port) == before


async def test_a_status_is_not_derived_from_an_older_object(kubectl: Kubectl) -> None:
    create_job(kubectl, "raced", spec__runPolicy={"managedBy": "kueue.x-k8s.io/multikueue"})  # none of the operator's
    seen = kubectl.get("tj", "raced")
    kubectl.patch_status("tj", "raced", {"modelVersion": "newer"})
    job, resources = TrainingJob.model_validate(seen), ResourceCache(lambda _: None)
    async with KubeClient(load_config(kubectl.kubeconfig)) as kube:
        writer = Writer(kube, ChildCache(lambda _: None))
        status = job.status.model_copy(update={"model_version": "older"})
        stored = resources.put(TRAINING_JOB, seen)
        assert stored
        with pytest.raises(StatusConflict):
            await writer.write_status(TRAINING_JOB, stored, job.status, status)
        assert kubectl.get("tj", "raced")["status"]["modelVersion"] == "newer"
        stored = resources.put(TRAINING_JOB, kubectl.get("tj", "raced"))
        assert stored
        assert await writer.write_status(TRAINING_JOB, stored, job.status, status)
    assert kubectl.get("tj", "raced")["status"]["modelVersion"] == "older"


async def test_what_a_status_had_can_be_empty_later(kubectl: Kubectl) -> None:
    create_job(kubectl, "emptied", spec__runPolicy={"managedBy": "kueue.x-k8s.io/multikueue"})  # none of the operator's
    conditions = merge_conditions((), phases.build_conditions(phases.PENDING, Finding("New", "")), 1, datetime.now(UTC))
    full = {"progress": Progress(step=1, metrics={"loss": 0.5}, damaged_steps=(4,)), "conditions": conditions}
    empty = {"progress": Progress(step=1), "conditions": ()}
    async with KubeClient(load_config(kubectl.kubeconfig)) as kube:
        writer = Writer(kube, ChildCache(lambda _: None))
        for update in (full, empty):
            seen = kubectl.get("tj", "emptied")
            job, stored = TrainingJob.model_validate(seen), ResourceCache(lambda _: None).put(TRAINING_JOB, seen)
            assert stored
            status = job.status.model_copy(update=update)
            assert await writer.write_status(TRAINING_JOB, stored, job.status, status)
    written = kubectl.get("tj", "emptied")["status"]
    assert (written["progress"]["metrics"], written.get("conditions", [])) == ({}, [])


def test_a_second_installation_notices_the_first_and_waits(kubectl: Kubectl, operator: Operator, folder: Path) -> None:
    make_installation_namespace(kubectl, "second-system")
    port = free_port()
    log = folder / f"operator-{port}.log"
    with running_operator(kubectl, folder, port, FAIRLEAD_LEASE_NAMESPACE="second-system"):
        holder = f"{OPERATOR_NAMESPACE}/fairlead-operator"
        wait_for(lambda: f"waiting for the lease kube-system/fairlead-scope, which {holder}" in log.read_text(), "it")
        assert read_metric(port, "fairlead_leader") == 0
        assert read_metric(operator.port, "fairlead_leader") == 1
    lease = kubectl.get("lease", "fairlead-scope", "kube-system")
    assert lease["spec"]["holderIdentity"] == holder


def test_a_cluster_wide_installation_warns_of_one_for_certain_namespaces(
    kubectl: Kubectl, operator: Operator, folder: Path
) -> None:
    make_installation_namespace(kubectl, "third-system")
    kubectl("create", "namespace", "team-of-another")
    port = free_port()
    own, other = (folder / f"operator-{number}.log" for number in (operator.port, port))
    settings = {"FAIRLEAD_LEASE_NAMESPACE": "third-system", "FAIRLEAD_NAMESPACES": "team-of-another"}
    with running_operator(kubectl, folder, port, **settings):
        text = "another installation, third-system/fairlead-operator, works on the namespace team-of-another, too"
        wait_for(lambda: text in own.read_text(), "the warning", 120)
        assert "another installation" not in other.read_text()
    kubectl("delete", "lease", "fairlead-scope", "-n", "team-of-another")


def make_installation_namespace(kubectl: Kubectl, namespace: str) -> None:
    """Create a namespace in which the operator's account may elect the leader of another installation."""
    kubectl("create", "namespace", namespace)
    role = "fairlead-operator-leader"
    for kind, name, *flags in (
        ("role", role, "--verb=get,create,update", "--resource=leases"),
        ("rolebinding", role, f"--role={role}", f"--serviceaccount={OPERATOR_NAMESPACE}:fairlead-operator"),
    ):
        kubectl("create", kind, name, "-n", namespace, *flags)


def read_metric(port: int, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response:
        lines = response.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def test_a_child_that_somebody_changed_is_repaired(kubectl: Kubectl, operator: Operator, tmp_path: Path) -> None:
    create_deployment(kubectl, "drifting", **make_models(tmp_path), **SCALED)
    wait_for_reason(kubectl, "drifting", "PodsNotReady")
    kubectl("scale", "deployment", "drifting-main", "--replicas=5")
    kubectl("patch", "service", "drifting", "--type=merge", "-p", '{"spec": {"selector": {"app": "other"}}}')
    wait_for(lambda: kubectl.get("deployment", "drifting-main")["spec"]["replicas"] == 1, "the replicas")
    wait_for(lambda: "app" not in kubectl.get("service", "drifting")["spec"]["selector"], "the selector")
    kubectl("patch", "hpa", "drifting", "--type=merge", "-p", '{"spec": {"maxReplicas": 9}}')
    kubectl("patch", "pdb", "drifting", "--type=merge", "-p", '{"spec": {"minAvailable": 0}}')
    wait_for(lambda: kubectl.get("hpa", "drifting")["spec"]["maxReplicas"] == 4, "the maximum")
    wait_for(lambda: kubectl.get("pdb", "drifting")["spec"]["minAvailable"] == 1, "the number of available pods")


def test_what_the_cluster_adds_to_a_child_is_no_drift(kubectl: Kubectl, operator: Operator, tmp_path: Path) -> None:
    kubectl("delete", "tj,mdep", "--all")  # other resources may be retried, which would be counted
    create_deployment(kubectl, "defaulted", **make_models(tmp_path), **SCALED)
    wait_for_reason(kubectl, "defaulted", "PodsNotReady")
    for kind in ("hpa", "pdb"):  # their controllers have written to them, too
        wait_for(lambda kind=kind: kubectl.get(kind, "defaulted").get("status", {}).get("conditions"), kind, 60)  # type: ignore[misc]
    before = count_requests(operator.port).writes
    for number in range(5):
        kubectl("annotate", "--overwrite", "mdep,hpa,pdb", "defaulted", f"touched={number}")
    assert count_requests(operator.port).writes == before


def test_a_key_that_was_deleted_is_created_again(kubectl: Kubectl, operator: Operator) -> None:
    create_job(kubectl, "keyless")
    wait_for_pods(kubectl, "keyless")
    kubectl("delete", "secret", "keyless-key")
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "keyless-worker-0", "namespace": "default"}}
    node = {"target": {"apiVersion": "v1", "kind": "Node", "name": "some-node"}}
    kubectl("create", "--raw", "/api/v1/namespaces/default/pods/keyless-worker-0/binding", "-f", "-",
            stdin=json.dumps(binding | node))  # fmt: skip
    wait_for(lambda: kubectl.get("secret", "keyless-key"), "the key, 30 s after the pod was created", 60)
