"""TrainingJobs in the queues of a real Kueue: it admits the pods of an attempt together, launcher included."""

import json
from functools import partial

import pytest
from fairlead.core import names

from tests.schedulers.jobs import (
    WAIT_SECONDS,
    create_job,
    fail_worker,
    nodes_of,
    pods_of,
    read_status,
    succeed,
    wait_for_no_pods,
    wait_for_phase,
    wait_for_pods,
    wait_for_reason,
)
from tests.schedulers.kueue import add_queue, cpu_in_use
from tests.schedulers.nodes import Nodes
from tests.support.api_server import Kubectl, condition, wait_for
from tests.support.resources import Object

pytestmark = pytest.mark.usefixtures("kueue")
QUEUED = {"schedulingPolicy": {"kueue": {}}}
PREEMPTING = {"preemption": {"withinClusterQueue": "LowerPriority"}}


def queue_job(kubectl: Kubectl, name: str, queue: str, priority: str = "") -> None:
    """Create a job of three CPUs in a queue."""
    labels = {names.KUEUE_QUEUE: queue} | ({names.KUEUE_PRIORITY: priority} if priority else {})
    create_job(kubectl, name, labels=labels, spec__runPolicy=QUEUED)


def wait_for_usage(kubectl: Kubectl, queue: str, cpu: str) -> None:
    """Wait until Kueue has reserved that much of a queue."""
    wait_for(lambda: cpu_in_use(kubectl, queue) == cpu, f"{cpu} CPU in use of {queue}", WAIT_SECONDS)


def wait_in_queue(kubectl: Kubectl, job: str) -> None:
    """Wait until a job says that its pods are held back, and Kueue why; no pod of it may have a node."""
    message = wait_for_reason(kubectl, job, "SchedulingGated")
    assert "Scheduling is blocked due to non-empty scheduling gates" in message
    wait_for(partial(find_workload_problem, kubectl, job), f"Kueue to say why {job} waits", WAIT_SECONDS)
    assert nodes_of(kubectl, job) == []


def find_workload_problem(kubectl: Kubectl, job: str) -> str:
    """Return why Kueue has not reserved quota for the group of a job; empty if it has."""
    groups = groups_of(pods_of(kubectl, job))
    found = [condition(kubectl.get("workloads", group), "QuotaReserved") for group in groups]
    return next((one["message"] for one in found if one.get("status") == "False"), "")


def groups_of(pods: list[Object]) -> set[str]:
    """Return the groups of pods."""
    return {pod["metadata"]["labels"][names.KUEUE_GROUP] for pod in pods}


def add_priorities(kubectl: Kubectl) -> None:
    """Create the priorities low and high."""
    for name, value in (("low", 10), ("high", 100)):
        meta = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "WorkloadPriorityClass", "metadata": {"name": name}}
        kubectl.apply(meta | {"value": value})


def suspend(kubectl: Kubectl, job: str, value: bool) -> None:
    """Suspend or resume a job."""
    patch = json.dumps({"spec": {"runPolicy": {"suspend": value}}})
    kubectl("patch", "tj", job, "--type", "merge", "-p", patch)


def test_a_job_whose_queue_has_room_is_admitted_and_runs(kubectl: Kubectl) -> None:
    add_queue(kubectl, "room", "3")
    queue_job(kubectl, "admitted", "room")
    wait_for_phase(kubectl, "admitted", "Running")
    assert len(nodes_of(kubectl, "admitted")) == 3
    wait_for_usage(kubectl, "room", "3")


def test_a_job_that_does_not_fit_waits_as_a_whole_until_another_one_ends(kubectl: Kubectl, nodes: Nodes) -> None:
    add_queue(kubectl, "shared", "5")
    queue_job(kubectl, "first", "shared")
    wait_for_phase(kubectl, "first", "Running")
    queue_job(kubectl, "second", "shared")
    wait_in_queue(kubectl, "second")
    assert "insufficient unused quota for cpu" in find_workload_problem(kubectl, "second")
    succeed(kubectl, nodes, "first")
    wait_for_phase(kubectl, "second", "Running")


def test_the_quota_covers_the_launcher(kubectl: Kubectl) -> None:
    add_queue(kubectl, "tight", "2")  # enough for the workers alone
    queue_job(kubectl, "whole", "tight")
    wait_in_queue(kubectl, "whole")
    add_queue(kubectl, "tight", "3")
    wait_for_phase(kubectl, "whole", "Running")
    wait_for_usage(kubectl, "tight", "3")


def test_the_next_attempt_of_a_failed_one_is_another_group_that_is_admitted_again(
    kubectl: Kubectl, nodes: Nodes
) -> None:
    add_queue(kubectl, "again", "3")
    queue_job(kubectl, "failing", "again")
    wait_for_phase(kubectl, "failing", "Running")
    first = groups_of(pods_of(kubectl, "failing"))
    fail_worker(kubectl, nodes, "failing")
    again = groups_of(wait_for_pods(kubectl, "failing", attempt=1))
    assert (len(first), len(again)) == (1, 1)
    assert first != again
    status = wait_for_phase(kubectl, "failing", "Running")
    assert (status["workers"]["restarts"], status["workers"]["disruptions"]) == (1, 0)
    wait_for_usage(kubectl, "again", "3")


def test_a_preempted_job_counts_a_disruption_and_runs_again_later(kubectl: Kubectl, nodes: Nodes) -> None:
    add_priorities(kubectl)
    add_queue(kubectl, "ranked", "3", **PREEMPTING)
    queue_job(kubectl, "yielding", "ranked", "low")
    wait_for_phase(kubectl, "yielding", "Running")
    queue_job(kubectl, "urgent", "ranked", "high")
    wait_for_phase(kubectl, "urgent", "Running")
    wait_for_pods(kubectl, "yielding", attempt=1)
    wait_in_queue(kubectl, "yielding")
    succeed(kubectl, nodes, "urgent")
    workers = wait_for_phase(kubectl, "yielding", "Running")["workers"]
    assert (workers["restarts"], workers["disruptions"]) == (1, 1)


def test_a_job_that_is_preempted_before_it_runs_does_so_later(kubectl: Kubectl, nodes: Nodes) -> None:
    add_priorities(kubectl)
    add_queue(kubectl, "early", "3", **PREEMPTING)
    nodes.held.add("starting")
    queue_job(kubectl, "starting", "early", "low")
    wait_for(lambda: len(nodes_of(kubectl, "starting")) == 3, "its pods to have nodes", WAIT_SECONDS)
    queue_job(kubectl, "sooner", "early", "high")
    wait_for_phase(kubectl, "sooner", "Running")
    nodes.held.clear()
    succeed(kubectl, nodes, "sooner")
    workers = wait_for_phase(kubectl, "starting", "Running")["workers"]
    assert (workers["restarts"], workers["disruptions"]) == (1, 1)


def test_a_job_that_is_suspended_and_resumed_at_once_runs_again(kubectl: Kubectl) -> None:
    add_queue(kubectl, "brief", "3")
    queue_job(kubectl, "blinking", "brief")
    wait_for_phase(kubectl, "blinking", "Running")
    suspend(kubectl, "blinking", True)
    wait_for_phase(kubectl, "blinking", "Suspended")
    suspend(kubectl, "blinking", False)
    wait_for_phase(kubectl, "blinking", "Running")


def test_a_suspended_job_returns_its_quota_and_gets_it_again_when_resumed(kubectl: Kubectl) -> None:
    add_queue(kubectl, "paused", "3")
    queue_job(kubectl, "suspended", "paused")
    wait_for_phase(kubectl, "suspended", "Running")
    suspend(kubectl, "suspended", True)
    wait_for_no_pods(kubectl, "suspended")
    wait_for_usage(kubectl, "paused", "0")
    suspend(kubectl, "suspended", False)
    wait_for_phase(kubectl, "suspended", "Running")
    wait_for_usage(kubectl, "paused", "3")


def test_a_job_that_is_suspended_in_its_queue_leaves_it(kubectl: Kubectl) -> None:
    add_queue(kubectl, "left", "2")
    queue_job(kubectl, "leaving", "left")
    wait_in_queue(kubectl, "leaving")
    suspend(kubectl, "leaving", True)
    wait_for_no_pods(kubectl, "leaving")
    add_queue(kubectl, "left", "3")
    suspend(kubectl, "leaving", False)
    wait_for_phase(kubectl, "leaving", "Running")


def test_a_deleted_job_returns_its_quota(kubectl: Kubectl) -> None:
    add_queue(kubectl, "freed", "3")
    queue_job(kubectl, "deleted", "freed")
    wait_for_phase(kubectl, "deleted", "Running")
    kubectl("delete", "tj", "deleted")
    wait_for_no_pods(kubectl, "deleted")
    wait_for_usage(kubectl, "freed", "0")
    queue_job(kubectl, "deleted", "freed")
    wait_for_phase(kubectl, "deleted", "Running")


def test_a_job_that_is_deleted_in_its_queue_leaves_it(kubectl: Kubectl) -> None:
    add_queue(kubectl, "gone", "2")
    queue_job(kubectl, "vanishing", "gone")
    wait_in_queue(kubectl, "vanishing")
    kubectl("delete", "tj", "vanishing")
    wait_for_no_pods(kubectl, "vanishing")
    add_queue(kubectl, "gone", "3")
    queue_job(kubectl, "vanishing", "gone")
    wait_for_phase(kubectl, "vanishing", "Running")
    assert read_status(kubectl, "vanishing")["workers"]["restarts"] == 0
