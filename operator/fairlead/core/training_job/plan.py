"""The planner of TrainingJobs."""

from collections.abc import Iterable
from datetime import datetime

from fairlead.api.training_job import TrainingJob
from fairlead.core import names
from fairlead.core.children import Object
from fairlead.core.conditions import Finding, is_true
from fairlead.core.plan import Deletion, Plan
from fairlead.core.settings import Settings
from fairlead.core.training_job.build import build_key_secret, build_launcher, build_service, build_worker
from fairlead.core.training_job.checks import (
    check_deadlines,
    check_failure,
    check_pending,
    check_supported,
    read_success,
    seconds_to_deadline,
)
from fairlead.core.training_job.gate import check_gate
from fairlead.core.training_job.observed import ObservedJob
from fairlead.core.training_job.status import (
    derive_blocked,
    derive_created,
    derive_failed,
    derive_pending,
    derive_restarting,
    derive_running,
    derive_succeeded,
    derive_suspended,
    warning,
)
from fairlead.core.views import PodView

_REPORT_SECONDS = 2.0
"""How long pods may take to start before the status reports them as pending: a quick start saves a write."""
_DELETION_SECONDS = 5.0
"""How often to check pods that are being deleted, in case an event is missed."""
_ENDING_SECONDS = 10.0
"""How long the other pods may take to end once one has ended: a pod that is deleted takes its log along."""


def plan_training_job(job: TrainingJob, observed: ObservedJob, settings: Settings, now: datetime, key: str) -> Plan:
    """Plan the next step of a TrainingJob.

    `key` is a fresh random key, used only if the job has none yet.
    """
    status, policy = job.status, job.spec.run_policy
    attempt = status.workers.restarts
    current = tuple(pod for pod in observed.pods if pod.attempt == attempt)
    running = is_true(status.conditions, "Running")

    if status.completion_time:
        return _clean_up(job, observed.pods, now)
    if finding := check_supported(job):
        return _fail(job, observed, finding, now)
    if policy.suspend:
        return Plan(derive_suspended(job, observed, now), delete=_delete(observed.pods))
    if observed.gate and not observed.pods and (finding := check_gate(job.spec.dataset, observed.gate)):
        blocked = derive_blocked(job, finding, now)
        return Plan(blocked, events=warning(job, "Blocked", finding), requeue_after=settings.gate_seconds)
    if leftover := [pod for pod in observed.pods if pod.attempt != attempt]:
        return Plan(status, delete=_delete(leftover), requeue_after=_DELETION_SECONDS)
    if launcher := next((p for p in current if p.role == names.LAUNCHER and p.phase == "Succeeded"), None):
        report = read_success(launcher)
        malformed = warning(job, "Succeeded", report) if isinstance(report, Finding) else ()
        return Plan(derive_succeeded(job, observed, report, now), events=malformed, requeue_after=0)
    if finding := check_deadlines(job, observed, running, now):
        return _fail(job, observed, finding, now)
    if finding := check_failure(job, current, running):
        if attempt >= policy.backoff_limit:
            return _fail(job, observed, finding, now)
        restarting = derive_restarting(job, finding, now)
        return Plan(restarting, events=warning(job, "Restarting", finding), requeue_after=0)
    if not running and any(pod.deleting for pod in current):
        return Plan(status, requeue_after=_DELETION_SECONDS)
    if missing := _missing(job, observed, current, attempt, key):
        was_held = any(is_true(status.conditions, type_) for type_ in ("Blocked", "Suspended"))
        # the artifacts that opened the gate are recorded now: another reading could find others, or none
        judged = bool(observed.gate and job.spec.dataset)
        status = derive_created(job, observed, now) if was_held or judged else status
        return Plan(status, apply=missing, requeue_after=_REPORT_SECONDS)
    if not all(pod.phase == "Running" or pod.finished for pod in current):
        return _await_pods(job, observed, current, now)
    status = derive_running(job, observed, settings, now)
    return Plan(status, requeue_after=seconds_to_deadline(job, status, now))


def _await_pods(job: TrainingJob, observed: ObservedJob, current: tuple[PodView, ...], now: datetime) -> Plan:
    """Report pods that cannot start or that take longer than a quick start."""
    if waiting := check_pending(current):
        status = derive_pending(job, observed, waiting, now)
        return Plan(status, requeue_after=seconds_to_deadline(job, status, now))
    youngest = max((pod.created for pod in current if pod.created), default=None)
    if youngest and 0 <= (age := (now - youngest).total_seconds()) < _REPORT_SECONDS:
        return Plan(job.status, requeue_after=_REPORT_SECONDS - age)
    status = derive_created(job, observed, now)
    return Plan(status, requeue_after=seconds_to_deadline(job, status, now))


def _fail(job: TrainingJob, observed: ObservedJob, finding: Finding, now: datetime) -> Plan:
    """Fail the job; its pods are cleaned up in the next step."""
    failed = derive_failed(job, observed, finding, now)
    return Plan(failed, events=warning(job, "Failed", finding), requeue_after=0)


def _clean_up(job: TrainingJob, pods: tuple[PodView, ...], now: datetime) -> Plan:
    """Delete the pods of a finished job that its policy does not keep."""
    policy, ended = job.spec.run_policy.clean_pod_policy, job.status.completion_time
    if policy == "None" or ended is None:
        return Plan(job.status)
    if policy == "All":
        return Plan(job.status, delete=_delete(pods))
    running = [pod for pod in pods if not pod.finished]
    remaining = _ENDING_SECONDS - (now - ended).total_seconds()
    ending = any(pod.finished for pod in pods)  # the launcher ends the others when one has ended
    if running and ending and 0 < remaining <= _ENDING_SECONDS:
        return Plan(job.status, requeue_after=remaining)
    return Plan(job.status, delete=_delete(running))


def _delete(pods: Iterable[PodView]) -> tuple[Deletion, ...]:
    return tuple(Deletion("Pod", pod.name, pod.uid) for pod in pods if not pod.deleting)


def _missing(
    job: TrainingJob, observed: ObservedJob, current: tuple[PodView, ...], attempt: int, key: str
) -> tuple[Object, ...]:
    """Return the missing children, key and Service before the pods that need them."""
    existing = {pod.name for pod in current}
    children = []
    if not current:
        # create the key without checking whether it exists: that would need permission to list Secrets
        children.append(build_key_secret(job, key))
    if not observed.has_service:
        children.append(build_service(job))
    if names.launcher_name(job) not in existing:
        children.append(build_launcher(job, attempt))
    for index in range(job.spec.workers.replicas):
        if names.worker_name(job, index) not in existing:
            children.append(build_worker(job, index, attempt))
    return tuple(children)
