"""Kueue: the pods of an attempt form a group of plain pods, which Kueue holds by a scheduling gate until it fits.

Each attempt is a group of its own, because Kueue counts the failed pods of a group as members that it can replace. A
resumed job gets another one, too: a group whose pods have all ended is finished, and Kueue admits no pod to it again.
Reference: Kueue's documentation, "Run Plain Pods".
"""

from collections.abc import Iterable

from fairlead.api.training_job import TrainingJob
from fairlead.core import names
from fairlead.core.children import Object
from fairlead.core.conditions import Finding
from fairlead.core.training_job.scheduling.framework import Framework, group_size
from fairlead.core.views import PodView


def check_queue(job: TrainingJob) -> Finding | None:
    """Find a job that names no queue, whose pods Kueue would ignore."""
    if (job.metadata.labels or {}).get(names.KUEUE_QUEUE):
        return None
    why = "expected the name of a LocalQueue, because spec.runPolicy.schedulingPolicy.kueue is set"
    return Finding("QueueMissing", f"metadata.labels[{names.KUEUE_QUEUE}]: got none, {why}.")


def check_eviction(job: TrainingJob, pods: Iterable[PodView]) -> Finding | None:
    """Find that the cluster takes a pod away, also before all of them run: its group, and so the attempt, is over."""
    policy = job.spec.run_policy.scheduling_policy
    evicted = any(pod.disruption and (pod.deleting or pod.phase == "Failed") for pod in pods)
    if policy is None or policy.kueue is None or not evicted:
        return None
    return Finding("Disrupted", "The pods of a group start together or not at all.")


def choose_group(job: TrainingJob, pods: Iterable[PodView]) -> str:
    """Return the group of pods that are created: that of the attempt's other pods, or a new one if there are none."""
    return next((pod.group for pod in pods if pod.group), "") or names.kueue_group_name(job)


def join_group(job: TrainingJob, pod: Object, group: str) -> Object:
    """Return a pod as a member of a group in the job's queue."""
    meta, own = pod["metadata"], job.metadata.labels or {}
    labels = {
        names.KUEUE_QUEUE: own.get(names.KUEUE_QUEUE, ""),
        names.KUEUE_GROUP: group,
    }
    # Kueue's own priority, which decides who is admitted first and who is preempted, not the pods' PriorityClass
    if priority := own.get(names.KUEUE_PRIORITY):
        labels[names.KUEUE_PRIORITY] = priority
    annotations = {
        names.KUEUE_COUNT: str(group_size(job)),
        # a failed attempt is over when its pods are, and releases its quota
        names.KUEUE_RETRIABLE: "false",
    }
    meta = meta | {"labels": meta["labels"] | labels, "annotations": meta.get("annotations", {}) | annotations}
    return pod | {"metadata": meta}


KUEUE = Framework(join_group, check=check_queue)
