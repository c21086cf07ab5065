"""Which group of Kueue's the pods of a job join: Kueue never admits one again whose pods have ended."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fairlead.api.training_job import TrainingJob
from fairlead.core import names
from fairlead.core.plan import Plan
from fairlead.core.settings import Settings
from fairlead.core.training_job.observed import Gate, ObservedJob
from fairlead.core.training_job.plan import plan_training_job
from fairlead.core.views import PodView

from tests.support.resources import make_job

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def queued(generation: int = 1, restarts: int = 0, name: str = "digits") -> TrainingJob:
    return make_job(
        {"workers": {"restarts": restarts, "desired": 2}}, metadata__generation=generation, metadata__name=name,
        metadata__labels={names.KUEUE_QUEUE: "team"}, spec__runPolicy={"schedulingPolicy": {"kueue": {}}},
    )  # fmt: skip


def plan(job: TrainingJob, *pods: PodView) -> Plan:
    return plan_training_job(job, ObservedJob(pods, gate=Gate()), Settings(), NOW, "k")


def groups(job: TrainingJob, *pods: PodView) -> set[str]:
    """Return the groups of the pods that are created."""
    created = [child for child in plan(job, *pods).apply if child["kind"] == "Pod"]
    return {pod["metadata"]["labels"][names.KUEUE_GROUP] for pod in created}


def waiting(name: str, **facts: Any) -> PodView:
    role, _, index = name.partition("-")
    return PodView(f"digits-{name}", f"uid-{name}", role, int(index or 0), created=NOW - timedelta(minutes=1), **facts)


def test_all_pods_of_an_attempt_are_one_group() -> None:
    assert len(groups(queued())) == 1
    assert groups(queued()) == groups(queued())


@pytest.mark.parametrize(
    ("reason", "later"),
    [("another attempt", queued(restarts=1)), ("suspended and resumed", queued(generation=3))],
)
def test_pods_that_follow_others_are_another_group(reason: str, later: TrainingJob) -> None:
    assert groups(later) != groups(queued()), reason


def test_a_pod_that_is_created_later_joins_the_others_although_the_spec_has_changed() -> None:
    others = (waiting("launcher", group="digits-first"), waiting("worker-0", group="digits-first"))
    assert groups(queued(generation=2), *others) == {"digits-first"}


def test_the_name_of_a_group_is_a_label_for_the_longest_name_of_a_job() -> None:
    (group,) = groups(queued(generation=12_345, restarts=1_000, name="a" * 50))
    assert len(group) <= 63


def test_a_job_that_kueue_preempts_before_it_runs_counts_a_disruption() -> None:
    words = "WorkloadEvicted: Preempted to accommodate a workload"
    first = waiting("launcher", group="digits-first", scheduled=True, deleting=True, disruption=words)
    status = plan(queued(), first, waiting("worker-0"), waiting("worker-1")).status
    assert (status.workers.restarts, status.workers.disruptions) == (1, 1)
    restarting = next(c for c in status.conditions if c.type == "Restarting")
    assert restarting.reason == "Disrupted"
    assert words in restarting.message


def test_a_pod_of_a_queued_job_that_is_deleted_otherwise_is_created_again_in_its_attempt() -> None:
    gone = waiting("launcher", group="digits-first", deleting=True)
    assert plan(queued(), gone, waiting("worker-0"), waiting("worker-1")).status.workers.restarts == 0
