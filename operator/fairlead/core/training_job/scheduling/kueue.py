"""Kueue: the pods of an attempt form a group of plain pods, which Kueue holds by a scheduling gate until it fits.

Each attempt is a group of its own, because Kueue counts the failed pods of a group as members that it can replace.
Reference: Kueue's documentation, "Run Plain Pods".
"""

from fairlead.api.training_job import TrainingJob
from fairlead.core import names
from fairlead.core.children import Object
from fairlead.core.conditions import Finding
from fairlead.core.training_job.scheduling.framework import Framework, group_size


def check_queue(job: TrainingJob) -> Finding | None:
    """Find a job that names no queue, whose pods Kueue would ignore."""
    if (job.metadata.labels or {}).get(names.KUEUE_QUEUE):
        return None
    why = "expected the name of a LocalQueue, because spec.runPolicy.schedulingPolicy.kueue is set"
    return Finding("QueueMissing", f"metadata.labels[{names.KUEUE_QUEUE}]: got none, {why}.")


def join_group(job: TrainingJob, pod: Object, attempt: int) -> Object:
    """Return a pod as a member of its attempt's group in the job's queue."""
    meta, own = pod["metadata"], job.metadata.labels or {}
    labels = {
        names.KUEUE_QUEUE: own.get(names.KUEUE_QUEUE, ""),
        names.KUEUE_GROUP: names.kueue_group_name(job, attempt),
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
