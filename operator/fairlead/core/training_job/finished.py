"""What happens to a finished job: its pods and its Service are deleted by its policy, and in the end the job itself."""

from dataclasses import replace
from datetime import datetime

from fairlead.api.training_job import TrainingJob
from fairlead.core import names
from fairlead.core.plan import Deletion, Plan, delete_pods
from fairlead.core.training_job.observed import ObservedJob
from fairlead.core.training_job.status import derive_finished
from fairlead.core.views import PodView

_ENDING_SECONDS = 10.0
"""How long the other pods may take to end once one has ended: a pod that is deleted takes its log along."""
_AFTER_EXPIRY = 0.1
"""Seconds to wait past the end of the job's time before checking it."""


def plan_finished(job: TrainingJob, observed: ObservedJob, now: datetime) -> Plan:
    """Clean up, and delete the job when its time to live is over."""
    ttl, finished = job.spec.run_policy.ttl_seconds_after_finished, job.status.completion_time
    plan = _clean_up(job, observed, now)
    if ttl is None or finished is None:
        return plan
    left = ttl - (now - finished).total_seconds()
    if left <= 0:
        return Plan(plan.status, expired=True)
    again = left + _AFTER_EXPIRY
    return replace(plan, requeue_after=again if plan.requeue_after is None else min(plan.requeue_after, again))


def _clean_up(job: TrainingJob, observed: ObservedJob, now: datetime) -> Plan:
    """Delete the pods that the job's policy does not keep, then the Service, by which they found each other."""
    policy, ended, status = job.spec.run_policy.clean_pod_policy, job.status.completion_time, derive_finished(job)
    if policy == "None" or ended is None:
        return Plan(status)
    active = [pod for pod in observed.pods if not pod.finished or pod.sidecars]
    if not active:
        pods: tuple[PodView, ...] = observed.pods if policy == "All" else ()
        return Plan(status, delete=delete_pods(pods) + _delete_service(job, observed))
    if policy == "All":
        return Plan(status, delete=delete_pods(observed.pods))
    remaining = _ENDING_SECONDS - (now - ended).total_seconds()
    ending = any(pod.finished for pod in observed.pods)  # the launcher ends the others when one has ended
    if ending and 0 < remaining <= _ENDING_SECONDS:
        return Plan(status, requeue_after=remaining)
    return Plan(status, delete=delete_pods(active))


def _delete_service(job: TrainingJob, observed: ObservedJob) -> tuple[Deletion, ...]:
    uid = observed.service_uid
    return (Deletion("Service", names.job_service_name(job), uid),) if uid else ()
