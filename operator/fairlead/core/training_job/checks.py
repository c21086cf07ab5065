"""Checks of a TrainingJob: each returns a Finding or None."""
# Longer than 250 lines: the checks and the words of their findings stay in one list.

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fairlead_contracts.termination import (
    STOPPED_CODE,
    Failure,
    FailureReport,
    Malformed,
    SuccessReport,
    read_report,
)

from fairlead.api.training_job import TrainingJob
from fairlead.api.training_job_status import TrainingJobStatus
from fairlead.core import names
from fairlead.core.conditions import LOG_HEADING, Finding, format_time, is_true, transition_time
from fairlead.core.settings import Settings
from fairlead.core.tenants import check_service_accounts, check_uris
from fairlead.core.training_job.elastic import check_lost_launcher, is_elastic
from fairlead.core.training_job.images import check_program
from fairlead.core.training_job.observed import ObservedJob
from fairlead.core.training_job.registration import check_ended_workers, check_registration, is_registering
from fairlead.core.views import PodView

_AFTER_DEADLINE = 0.1
"""Seconds to wait past a deadline before checking it."""
_TERMINATION_GRACE = 10.0
"""Seconds past its grace period after which a pod that still exists is reported."""
LOST = "WorkerLost"
STORE = "WorkerStoreUnavailable"
_REASONS = {"LostWorker": LOST}
"""The condition reasons of failures that are not `Worker<reason>`."""
_UNSCHEDULED = ("Unschedulable", "SchedulingGated", "SchedulerError")
"""The reasons of Kubernetes' scheduler. Others may give any text, which is no reason of ours."""
_OF_COMMAND = ("Exited", "Killed", "NotStarted")
"""The failures whose exit code is the training command's."""


@dataclass(frozen=True)
class AttemptFailure(Finding):
    """How an attempt failed, as its first process to fail reported."""

    worker: int | None = None
    """The worker that failed; None if none is to blame."""
    exit_code: int | None = None
    """The exit code of its training command; None if that did not run or did not end."""


def check_allowed(job: TrainingJob, settings: Settings) -> Finding | None:
    """Find a service account or artifact that the administrator does not allow the job's namespace."""
    spec, namespace = job.spec, job.metadata.namespace
    launcher = spec.launcher_template.spec if spec.launcher_template else None
    pods = (("spec.workers.template.spec", spec.workers.template.spec), ("spec.launcherTemplate.spec", launcher))
    uris = (
        ("spec.dataset.uri", spec.dataset.uri if spec.dataset else None),
        ("spec.model.uri", spec.model.uri if spec.model else None),
        ("spec.checkpoint.uri", spec.checkpoint.uri if spec.checkpoint else None),
        ("spec.checkpoint.restoreFrom", spec.checkpoint.restore_uri if spec.checkpoint else None),
    )
    return check_service_accounts(settings, namespace, pods) or check_uris(settings, namespace, uris)


def check_terminating(pods: Iterable[PodView], settings: Settings, now: datetime) -> Finding | None:
    """Find a pod that still exists after its grace period: reason PodNotTerminating once it has taken too long."""
    times = ((pod.deletion_time, pod) for pod in pods if pod.deletion_time)
    since, pod = min(times, key=lambda each: each[0], default=(None, None))
    if since is None or pod is None or (late := (now - since).total_seconds()) < _TERMINATION_GRACE:
        return None
    until = since + timedelta(seconds=settings.termination_seconds)
    message = f"{describe_pod(pod)} ({pod.name}) was to be gone by {format_time(since)} and still exists"
    if late >= settings.termination_seconds:
        hint = f"kubectl delete pod {pod.name} --force"
        return Finding("PodNotTerminating", f"{message}; its node may be lost. Remove it with: {hint}.")
    return Finding("PodTerminating", f"{message}; waiting for it until {format_time(until)}.")


def check_attempt(
    job: TrainingJob, observed: ObservedJob, pods: tuple[PodView, ...], running: bool, now: datetime
) -> Finding | None:
    """Find why the current attempt has failed. While the launcher of an elastic job answers, it is the judge."""
    if is_elastic(job, pods):
        return check_lost_launcher(observed.launcher, pods, now)
    return check_failure(job, pods, running) or check_ended_workers(job, observed, pods, now)


def check_failure(job: TrainingJob, pods: Iterable[PodView], running: bool) -> Finding | None:
    """Find the first failure of the current attempt: which worker, its exit code, the last lines of its log.

    `running` is whether all pods were running before: a missing pod was then deleted or evicted. Before that, a pod
    that is being deleted proves nothing: its end is its deletion, such as by a suspension that was taken back.
    """
    pods = list(pods)
    failed = [pod for pod in pods if pod.phase == "Failed" and (running or not pod.deleting)]
    for pod in sorted(failed, key=lambda pod: pod.role != names.LAUNCHER):
        if report := _reported_failure(pod):
            return report
    for pod in failed:
        if pod.role == names.WORKER and pod.exit_code != STOPPED_CODE:
            return _bare_failure(pod)
    for pod in failed:
        if pod.role == names.LAUNCHER:
            return _bare_failure(pod)
    if running and (missing := find_missing_pod(job, pods)):
        return Finding(LOST, f"{missing} is missing: its pod was deleted or evicted.")
    return None


def explain_failure(pod: PodView) -> Finding:
    """Describe the end of a pod that has failed, from its report if it has left one."""
    return _reported_failure(pod) or _bare_failure(pod)


def check_pending(pods: Iterable[PodView]) -> Finding | None:
    """Find a pod that cannot start, and why."""
    for pod in pods:
        if pod.waiting:
            reason = pod.unscheduled if pod.unscheduled in _UNSCHEDULED else "PodsWaiting"
            return Finding(reason, f"{describe_pod(pod)} cannot start: {pod.waiting}")
    return None


def check_deadlines(job: TrainingJob, observed: ObservedJob, running: bool, now: datetime) -> Finding | None:
    """Find an exceeded deadline."""
    policy, start = job.spec.run_policy, job.status.start_time
    if start is None:
        return None
    age = (now - start).total_seconds()
    if policy.active_deadline_seconds and age > policy.active_deadline_seconds:
        allowed = f"spec.runPolicy.activeDeadlineSeconds allows {policy.active_deadline_seconds}"
        return Finding("DeadlineExceeded", f"The job was active for {age:.0f} s; {allowed}.")
    started = _all_run(job, observed.pods)
    # a launcher that has not been read may have registered its workers; it is read, or counts as silent, soon
    if running or not policy.pre_running_deadline_seconds or (started and not is_registering(job, observed)):
        return None
    elapsed = (now - _start_of_attempt(job.status, start)).total_seconds()
    if elapsed > policy.pre_running_deadline_seconds:
        waiting = check_registration(job, observed, now) if started else check_pending(observed.pods)
        why = waiting.message if waiting else "some pods are still pending."
        limit = f"spec.runPolicy.preRunningDeadlineSeconds: {policy.pre_running_deadline_seconds}"
        return Finding("NeverStarted", f"Not running after {elapsed:.0f} s ({limit}): {why}")
    return None


def read_success(launcher: PodView) -> SuccessReport | Finding:
    """Return the report of a launcher that exited 0, or why it cannot be parsed."""
    report = read_report(launcher.termination_message)
    if isinstance(report, Malformed):
        return Finding("ReportMalformed", f"The launcher's termination report is malformed: {report.problem}.")
    return report if isinstance(report, SuccessReport) else SuccessReport()


def check_model(job: TrainingJob, report: SuccessReport | Finding) -> Finding | None:
    """Find a model that the job asks for and its launcher does not report, which would be a success in name only."""
    if job.spec.model is None:
        return None
    expected = f"spec.model: expected a model below {job.spec.model.uri}"
    if isinstance(report, Finding):
        return Finding("ModelMissing", f"{expected}. {report.message}")
    if report.model is None:
        return Finding("ModelMissing", f"{expected}; the launcher's termination report names none.")
    if not report.model.uri.startswith(f"{job.spec.model.uri.rstrip('/')}/"):
        return Finding("ModelMissing", f"{expected}; the launcher's termination report names {report.model.uri}.")
    return None


def seconds_to_deadline(job: TrainingJob, status: TrainingJobStatus, now: datetime) -> float | None:
    """Return the seconds until the next deadline of the job; None if it has none."""
    policy, start = job.spec.run_policy, status.start_time
    deadlines = []
    if start and policy.active_deadline_seconds:
        deadlines.append(start + timedelta(seconds=policy.active_deadline_seconds))
    if start and policy.pre_running_deadline_seconds and not is_true(status.conditions, "Running"):
        since = _start_of_attempt(status, start)
        deadlines.append(since + timedelta(seconds=policy.pre_running_deadline_seconds))
    return max(0.0, (min(deadlines) - now).total_seconds()) + _AFTER_DEADLINE if deadlines else None


def _start_of_attempt(status: TrainingJobStatus, start: datetime) -> datetime:
    """Return when the current attempt started: after a restart, when the job had stopped running and backed off."""
    return max(start, transition_time(status.conditions, "Running") or start, status.next_attempt_time or start)


def _all_run(job: TrainingJob, pods: Iterable[PodView]) -> bool:
    attempt = job.status.workers.restarts
    run = [pod for pod in pods if pod.attempt == attempt and (pod.phase == "Running" or pod.finished)]
    return len(run) == job.spec.workers.replicas + 1


def _reported_failure(pod: PodView) -> Finding | None:
    report = read_report(pod.termination_message)
    if not isinstance(report, FailureReport):
        return None
    failure = report.failure
    where = "The launcher" if failure.worker is None else f"Worker {failure.worker}"
    where += f" (rank {failure.rank})" if failure.rank is not None else ""
    prefix = "" if failure.worker is None else "Worker"
    reason = _REASONS.get(failure.reason, f"{prefix}{failure.reason}")
    code = failure.exit_code if failure.reason in _OF_COMMAND else None
    message = _with_log(f"{where} {_describe_failure(failure)}.", failure.log_tail)
    return AttemptFailure(reason, message, failure.worker, code)


def _describe_failure(failure: Failure) -> str:
    return {
        "Exited": f"exited with code {failure.exit_code}",
        "Killed": f"was killed by {failure.signal_name} (exit code {failure.exit_code})",
        "NotStarted": f"could not start its command (exit code {failure.exit_code})",
        "LostWorker": "stopped responding",
        "NotRegistered": "did not register with the launcher",
        "LostLauncher": "was paused or could not be reached by its workers",
        "InvalidDataset": "rejected its dataset",
        "InvalidModel": "could not publish its model",
        "StoreUnavailable": "could not use the artifact store",
    }[failure.reason]


def _bare_failure(pod: PodView) -> Finding:
    """Describe a pod that failed without a report, such as one that ran out of memory."""
    if missing := check_program(pod):
        return missing
    code = "no exit code" if pod.exit_code is None else f"exit code {pod.exit_code}"
    killed = pod.exit_code is not None and pod.exit_code > 128
    message = (
        f"{describe_pod(pod)} failed ({code}{f', signal {pod.exit_code - 128}' if killed and pod.exit_code else ''})."
    )
    reason = "LauncherFailed" if pod.role == names.LAUNCHER else "WorkerKilled" if killed else "WorkerFailed"
    message = _with_log(message, pod.termination_message or pod.waiting)
    own = pod.exit_code if pod.ended else None  # else it is the exit code of an init container or a sidecar
    return AttemptFailure(reason, message, pod.index, own) if pod.role == names.WORKER else Finding(reason, message)


def find_missing_pod(job: TrainingJob, pods: Iterable[PodView]) -> str | None:
    """Return which of the pods of an attempt that ran does not exist any more; those of elastic workers come and go."""
    existing = {pod.name for pod in pods if not pod.deleting or pod.finished}
    workers = range(job.spec.workers.replicas if job.spec.elastic is None else 0)
    expected = [(names.launcher_name(job), "The launcher")]
    expected += [(names.worker_name(job, index), f"Worker {index}") for index in workers]
    return next((description for name, description in expected if name not in existing), None)


def describe_pod(pod: PodView) -> str:
    """Return a pod's role in its job."""
    return f"Worker {pod.index}" if pod.role == names.WORKER else "The launcher"


def _with_log(message: str, log: str) -> str:
    return f"{message}{LOG_HEADING}\n{log.strip()}" if log.strip() else message
