"""The coscheduling plugin of kubernetes-sigs/scheduler-plugins: a PodGroup, and pods with its label.

Reference: the API group scheduling.x-k8s.io/v1alpha1.
"""

from typing import Any

from fairlead.api.scheduling import Coscheduling
from fairlead.api.training_job import TrainingJob
from fairlead.core import names
from fairlead.core.children import Object, build_owned, with_hash
from fairlead.core.training_job.scheduling.framework import Framework, group_size


def build_pod_group(job: TrainingJob) -> tuple[Object, ...]:
    """Return the job's PodGroup. It is applied anew with each attempt: the number of workers may have changed."""
    timeout = _options(job).schedule_timeout_seconds
    head = build_owned(
        job, "scheduling.x-k8s.io/v1alpha1", "PodGroup", names.pod_group_name(job), names.job_labels(job)
    )
    spec: dict[str, Any] = {"minMember": group_size(job)}
    if timeout is not None:
        spec["scheduleTimeoutSeconds"] = timeout
    return (with_hash(head | {"spec": spec}),)


def join_pod_group(job: TrainingJob, pod: Object, _: str) -> Object:
    """Return a pod as a member of the job's PodGroup."""
    scheduler = _options(job).scheduler_name
    meta = pod["metadata"]
    meta = meta | {"labels": meta["labels"] | {names.POD_GROUP: names.pod_group_name(job)}}
    return pod | {"metadata": meta, "spec": pod["spec"] | ({"schedulerName": scheduler} if scheduler else {})}


def _options(job: TrainingJob) -> Coscheduling:
    policy = job.spec.run_policy.scheduling_policy
    return (policy and policy.coscheduling) or Coscheduling()


COSCHEDULING = Framework(join_pod_group, build_pod_group)
