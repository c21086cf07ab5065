"""Gang scheduling: frameworks that start the pods of a job together, a small file each, chosen by schedulingPolicy."""

from fairlead.api.training_job import TrainingJob
from fairlead.core.children import Object
from fairlead.core.conditions import Finding
from fairlead.core.training_job.scheduling.coscheduling import COSCHEDULING
from fairlead.core.training_job.scheduling.framework import Framework
from fairlead.core.training_job.scheduling.kueue import KUEUE, check_eviction, choose_group

__all__ = ("FRAMEWORKS", "build_groups", "check_eviction", "check_scheduling", "choose_group", "schedule_pod")

FRAMEWORKS = {"coscheduling": COSCHEDULING, "kueue": KUEUE}
"""Maps fields of the API's SchedulingPolicy to frameworks."""


def check_scheduling(job: TrainingJob) -> Finding | None:
    """Find why a framework would never start the pods."""
    return next((finding for framework in _chosen(job) if (finding := framework.check(job))), None)


def build_groups(job: TrainingJob) -> tuple[Object, ...]:
    """Return the objects that must exist before the pods."""
    return tuple(obj for framework in _chosen(job) for obj in framework.build(job))


def schedule_pod(job: TrainingJob, pod: Object, group: str) -> Object:
    """Return a pod as the job's scheduling policy asks for it, in the group that `choose_group` returns."""
    policy = job.spec.run_policy.scheduling_policy
    if policy and policy.priority_class_name and "priorityClassName" not in pod["spec"]:
        pod = pod | {"spec": pod["spec"] | {"priorityClassName": policy.priority_class_name}}
    for framework in _chosen(job):
        pod = framework.join(job, pod, group)
    return pod


def _chosen(job: TrainingJob) -> list[Framework]:
    policy = job.spec.run_policy.scheduling_policy
    return [framework for field, framework in FRAMEWORKS.items() if getattr(policy, field, None) is not None]
