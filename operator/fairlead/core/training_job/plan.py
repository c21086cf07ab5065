"""The planner of TrainingJobs."""

from dataclasses import replace
from datetime import datetime

from fairlead.api.training_job import TrainingJob
from fairlead.core import names
from fairlead.core.children import Object
from fairlead.core.conditions import Finding, is_true, transition_time
from fairlead.core.plan import Event, Plan, delete_pods
from fairlead.core.settings import Settings
from fairlead.core.training_job.build import (
    build_key_secret,
    build_launcher,
    build_network_policy,
    build_service,
    build_worker,
)
from fairlead.core.training_job.checks import (
    check_allowed,
    check_attempt,
    check_deadlines,
    check_model,
    check_terminating,
    read_success,
    seconds_to_deadline,
)
from fairlead.core.training_job.creation import plan_rejected, seconds_until_creation
from fairlead.core.training_job.elastic import (
    has_begun,
    has_enough,
    is_elastic,
    plan_workers,
    seconds_to_lost_launcher,
)
from fairlead.core.training_job.failures import check_beginning, check_hopeless_worker, check_limits, find_disruption
from fairlead.core.training_job.finished import plan_finished
from fairlead.core.training_job.gate import check_gate
from fairlead.core.training_job.observed import ObservedJob
from fairlead.core.training_job.progress import check_progress, seconds_to_progress, warn_of_damage
from fairlead.core.training_job.registration import check_registration
from fairlead.core.training_job.resizing import REJECTED_SECONDS, plan_resizing
from fairlead.core.training_job.restarts import seconds_until_attempt
from fairlead.core.training_job.scheduling import build_groups, check_eviction, check_scheduling, choose_group
from fairlead.core.training_job.starting import (
    REPORT_SECONDS,
    least,
    plan_pending_pods,
    plan_registration,
    seconds_to_next,
    soonest,
)
from fairlead.core.training_job.status import (
    derive_blocked,
    derive_created,
    derive_failed,
    derive_pending,
    derive_restarting,
    derive_running,
    derive_succeeded,
    derive_suspended,
)
from fairlead.core.training_job.tracking import warn_of_tracking
from fairlead.core.views import PodView

_DELETION_SECONDS = 5.0
"""How often to check pods that are being deleted, in case an event is missed."""


def plan_training_job(job: TrainingJob, observed: ObservedJob, settings: Settings, now: datetime, key: str) -> Plan:
    """Plan the next step of a TrainingJob.

    `key` is a fresh random key, used only if the job has none yet.
    """
    if job.status.completion_time:
        return plan_finished(job, observed, now)
    if job.spec.run_policy.suspend:
        return Plan(derive_suspended(job, observed, now), delete=delete_pods(observed.pods))
    if observed.pods:
        return _plan_attempt(job, observed, settings, now, key)
    if finding := check_allowed(job, settings) or check_scheduling(job):
        if exceeded := check_deadlines(job, observed, running=False, now=now):
            return _fail(job, observed, Finding(exceeded.reason, f"{exceeded.message} {finding.message}"), now)
        return _block(job, finding, now, seconds_to_deadline(job, job.status, now))
    if observed.gate and observed.gate.pending:
        return Plan(job.status)
    if observed.gate and (finding := check_gate(job.spec.dataset, observed.gate)):
        return _block(job, finding, now, settings.gate_seconds)
    return _plan_attempt(job, observed, settings, now, key)


def _plan_attempt(job: TrainingJob, observed: ObservedJob, settings: Settings, now: datetime, key: str) -> Plan:
    """Plan the next step of a job that may have pods."""
    status, attempt = job.status, job.status.workers.restarts
    current = tuple(pod for pod in observed.pods if pod.attempt == attempt)
    running = is_true(status.conditions, "Running")
    if launcher := next((p for p in current if p.role == names.LAUNCHER and p.phase == "Succeeded"), None):
        report = read_success(launcher)
        if finding := check_model(job, report):
            return _fail(job, observed, finding, now)
        malformed = (_warning(job, "Succeeded", report),) if isinstance(report, Finding) else ()
        return Plan(derive_succeeded(job, observed, report, now), events=malformed, requeue_after=0)
    if finding := check_deadlines(job, observed, running, now):
        return _fail(job, observed, finding, now)
    if leftover := tuple(pod for pod in observed.pods if pod.attempt != attempt):
        return _await_deletion(job, observed, leftover, settings, now)
    elastic, workers = is_elastic(job, current), plan_workers(job, current, settings, now)
    begun = running or has_begun(observed)
    failure = check_attempt(job, observed, current, running, now) or check_hopeless_worker(job, current)
    failure = failure or check_eviction(job, current)
    if finding := failure or check_beginning(job, current, begun) or check_progress(job, observed):
        finding = find_disruption(job, current, finding, running) or finding
        if final := check_limits(job, finding):
            return _fail(job, observed, final, now)
        restarting = derive_restarting(job, observed, finding, settings, now)
        return Plan(restarting, events=(_warning(job, "Restarting", finding),), requeue_after=0)
    if elastic and (begun or workers.surplus or workers.failed):
        return plan_resizing(job, observed, current, workers, settings, now)
    if not running and (deleting := tuple(pod for pod in current if pod.deleting)):
        return _await_deletion(job, observed, deleting, settings, now)
    # pods of this attempt exist only after its backoff, even if this operator's clock says otherwise
    if seconds := max(seconds_until_creation(job, now), 0.0 if current else seconds_until_attempt(job, now)):
        return Plan(status, delete=delete_pods(current), requeue_after=soonest(job, status, now, seconds))
    missing = _missing(job, observed, current, settings, key)
    # an elastic job that a quota denies some workers begins with the others
    if missing and not (elastic and observed.rejection and has_enough(job, current)):
        return _create(job, observed, missing, current, settings, now)
    plan = _plan_start(job, observed, current, settings, now, key)
    lost = seconds_to_lost_launcher(observed.launcher, current, now) if elastic else None
    again = (plan.requeue_after, workers.again, lost, REJECTED_SECONDS if missing else None)
    return replace(plan, requeue_after=least(again))


def _plan_start(
    job: TrainingJob, observed: ObservedJob, current: tuple[PodView, ...], settings: Settings, now: datetime, key: str
) -> Plan:
    """Wait until all pods run and have registered."""
    if not all(pod.phase == "Running" or pod.finished for pod in current):
        return plan_pending_pods(job, observed, current, now, key)
    if waiting := check_registration(job, observed, now):
        return plan_registration(job, observed, waiting, current, now)
    status = derive_running(job, observed, settings, now)
    times = (
        seconds_to_next(job, observed, current, status, now),
        seconds_to_progress(job, observed, status, settings, now),
    )
    events = (*warn_of_tracking(job, status), *warn_of_damage(job, status))
    return Plan(status, events=events, requeue_after=least(times))


def _create(
    job: TrainingJob,
    observed: ObservedJob,
    missing: tuple[Object, ...],
    current: tuple[PodView, ...],
    settings: Settings,
    now: datetime,
) -> Plan:
    """Create what is missing, unless the API server has just rejected it."""
    if observed.rejection:
        return plan_rejected(job, observed, observed.rejection, current, settings, now)
    was_held = any(is_true(job.status.conditions, type_) for type_ in ("Blocked", "Suspended"))
    # the artifacts that opened the gate are recorded now: another reading could find others, or none
    judged = bool(observed.gate and job.spec.dataset)
    status = derive_created(job, observed, now) if was_held or judged else job.status
    return Plan(status, apply=missing, requeue_after=REPORT_SECONDS)


def _await_deletion(
    job: TrainingJob, observed: ObservedJob, pods: tuple[PodView, ...], settings: Settings, now: datetime
) -> Plan:
    """Delete pods and wait until they are gone, for a bounded time: a lost node never confirms a deletion."""
    late = check_terminating(pods, settings, now)
    if late and late.reason == "PodNotTerminating":
        return _fail(job, observed, late, now)
    status = derive_pending(job, observed, late, now) if late else job.status
    return Plan(status, delete=delete_pods(pods), requeue_after=soonest(job, status, now, _DELETION_SECONDS))


def _block(job: TrainingJob, finding: Finding, now: datetime, requeue_after: float | None) -> Plan:
    reported = any(
        c.type == "Blocked" and c.status == "True" and c.reason == finding.reason for c in job.status.conditions
    )
    events = () if reported else (_warning(job, "Blocked", finding),)
    return Plan(derive_blocked(job, finding, now), events=events, requeue_after=requeue_after)


def _fail(job: TrainingJob, observed: ObservedJob, finding: Finding, now: datetime) -> Plan:
    """Fail the job; its pods are cleaned up in the next step."""
    failed = derive_failed(job, observed, finding, now)
    return Plan(failed, events=(_warning(job, "Failed", finding),), requeue_after=0)


def _warning(job: TrainingJob, type_: str, finding: Finding) -> Event:
    """Return a warning event. Each attempt, and each time that a job becomes blocked, has its own."""
    since = transition_time(job.status.conditions, type_)
    occasion = f"{job.status.workers.restarts}/{since.isoformat() if since else ''}"
    return Event("Warning", finding.reason, finding.message, type_, occasion)


def _missing(
    job: TrainingJob, observed: ObservedJob, current: tuple[PodView, ...], settings: Settings, key: str
) -> tuple[Object, ...]:
    """Return the missing children, key and Service before the pods that need them."""
    attempt = job.status.workers.restarts
    existing, group = {pod.name for pod in current}, choose_group(job, current)
    children = []
    if not current:
        # created without checking whether they exist: that would need permission to list Secrets, and another watch
        children.append(build_key_secret(job, key))
        if settings.network_policies:
            children.append(build_network_policy(job))
        children += build_groups(job)
    if not observed.service_uid:
        children.append(build_service(job))
    if names.launcher_name(job) not in existing:
        children.append(build_launcher(job, attempt, settings, group))
    for index in range(job.spec.workers.replicas):
        if names.worker_name(job, index) not in existing:
            children.append(build_worker(job, index, attempt, settings, group))
    return tuple(children)
