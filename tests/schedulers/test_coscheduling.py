"""TrainingJobs whose pods a real scheduler with the coscheduling plugin starts together or not at all."""

import pytest

from tests.schedulers.coscheduling import SCHEDULER
from tests.schedulers.jobs import create_job, nodes_of, succeed, wait_for_phase, wait_for_pods, wait_for_reason
from tests.schedulers.nodes import Nodes
from tests.support.api_server import Kubectl, wait_for

pytestmark = pytest.mark.usefixtures("coscheduling")
GANG = {"schedulingPolicy": {"coscheduling": {"schedulerName": SCHEDULER, "scheduleTimeoutSeconds": 10}}}


def create_gang(kubectl: Kubectl, name: str, **changes: object) -> None:
    """Create a job of five CPUs, of which the nodes have eight: two jobs could each hold a part of what both need."""
    create_job(kubectl, name, cpu="2", spec__runPolicy=GANG, **changes)


def test_of_two_jobs_that_do_not_fit_together_one_runs_and_the_other_waits_as_a_whole(
    kubectl: Kubectl, nodes: Nodes
) -> None:
    both = {"one", "other"}
    for name in both:
        create_gang(kubectl, name)

    def find_running() -> set[str]:
        return {name for name in both if len(nodes_of(kubectl, name)) == 3}

    first = wait_for(find_running, "a job with all of its pods on nodes", 90)
    assert len(first) == 1
    (running,), (waiting,) = first, both - first
    wait_for_phase(kubectl, running, "Running")
    assert wait_for_reason(kubectl, waiting, "Unschedulable")
    assert nodes_of(kubectl, waiting) == []
    succeed(kubectl, nodes, running)
    wait_for_phase(kubectl, waiting, "Running")
    succeed(kubectl, nodes, waiting)


def test_a_job_too_large_for_the_nodes_reports_the_words_of_the_scheduler(kubectl: Kubectl) -> None:
    create_job(kubectl, "large", cpu="4", spec__runPolicy=GANG)
    message = wait_for_reason(kubectl, "large", "Unschedulable")
    assert "cannot start: Unschedulable: " in message
    assert "PodGroup" in message or "Insufficient cpu" in message
    assert nodes_of(kubectl, "large") == []


def test_an_elastic_job_starts_with_the_fewest_members_that_it_may_have(kubectl: Kubectl) -> None:
    elastic = {"minReplicas": 1, "maxReplicas": 2}
    create_job(kubectl, "elastic", cpu="3500m", spec__elastic=elastic, spec__runPolicy=GANG, spec__workers__replicas=2)
    wait_for_pods(kubectl, "elastic")
    assert kubectl.get("podgroups", "elastic")["spec"] == {"minMember": 2, "scheduleTimeoutSeconds": 10}
    # one node holds the launcher and nothing else beside a worker, so that the second worker waits
    wait_for(lambda: len(nodes_of(kubectl, "elastic")) >= 2, "the launcher and a worker on nodes", 90)


def test_the_pod_group_goes_with_the_job(kubectl: Kubectl) -> None:
    create_gang(kubectl, "passing")
    wait_for_phase(kubectl, "passing", "Running")
    assert kubectl.get("podgroups", "passing")["metadata"]["ownerReferences"][0]["name"] == "passing"
    kubectl("delete", "tj", "passing")
    wait_for(lambda: not kubectl.get("podgroups", "passing"), "the PodGroup to go", 60)
