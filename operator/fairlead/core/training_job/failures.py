"""What follows the end of an attempt: another one, unless the job has used up its restarts or one would not help.

A disruption is an end that the training did not cause: the cluster evicted, preempted or deleted a pod, or lost it with
its node, or the artifact store was away for longer than workers wait for it. The first process to fail may be another
one, which only missed its peer, so a disrupted pod explains every failure of its attempt. Disruptions have a limit of
their own, and wait the first backoff only.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fairlead_contracts.termination import STOPPED_CODE

from fairlead.api.training_job import TrainingJob
from fairlead.core import names
from fairlead.core.conditions import Finding
from fairlead.core.training_job.checks import (
    LOST,
    STORE,
    AttemptFailure,
    describe_pod,
    explain_failure,
    find_missing_pod,
)
from fairlead.core.training_job.elastic import is_counted
from fairlead.core.training_job.images import INCOMPLETE
from fairlead.core.training_job.registration import NOT_FINISHED
from fairlead.core.views import PodView

DISRUPTED = "Disrupted"


@dataclass(frozen=True)
class Disruption(Finding):
    """The end of an attempt by the cluster."""


def find_disruption(job: TrainingJob, pods: tuple[PodView, ...], failure: Finding, running: bool) -> Disruption | None:
    """Return how the cluster ended an attempt, if it did; `pods` are the attempt's.

    `running` is whether the attempt was running, so that none of its pods should be missing.
    """
    workers = [pod for pod in pods if pod.role == names.WORKER]
    judged = [pod for pod in pods if job.spec.elastic is None or _ends_elastic(pod, failure)]
    for pod in judged:
        if pod.disruption:
            return Disruption(DISRUPTED, f"{describe_pod(pod)} was disrupted ({pod.disruption}). {failure.message}")
    if deleted := next((pod for pod in judged if pod.deleting), None):
        return Disruption(DISRUPTED, f"{describe_pod(deleted)} was deleted. {failure.message}")
    if running and (missing := find_missing_pod(job, judged)):
        message = "" if failure.reason == LOST else f"{missing} is missing: its pod was deleted or evicted. "
        return Disruption(LOST, message + failure.message)
    lost = failure.worker if isinstance(failure, AttemptFailure) and failure.reason == LOST else None
    if job.spec.elastic is None and lost is not None and not any(p.finished for p in workers if p.index == lost):
        return Disruption(LOST, failure.message)  # neither ended nor reachable: a node or the network is to blame
    if isinstance(failure, AttemptFailure) and failure.reason == STORE:
        return Disruption(STORE, failure.message)
    if failure.reason == NOT_FINISHED and workers and all(pod.exit_code == STOPPED_CODE for pod in workers):
        return Disruption(NOT_FINISHED, failure.message)  # they have stopped because they could not reach it
    return None


def check_hopeless_worker(job: TrainingJob, pods: Iterable[PodView]) -> Finding | None:
    """Find a worker of an elastic job that failed so that neither another pod nor another attempt would help."""
    failures = (explain_failure(pod) for pod in _failed_workers(job, pods))
    return next((failure for failure in failures if _check_permanent(job, failure)), None)


def check_beginning(job: TrainingJob, pods: Iterable[PodView], begun: bool) -> Finding | None:
    """Find a worker of an elastic job that fails again and again before the job has begun, so that it may never do so.

    It was replaced as often as backoffLimit allows; this ends the attempt, and counts as one failure.
    """
    replaced = job.status.elastic.replaced if job.status.elastic else ()
    times, limit = {known.worker: known.times for known in replaced}, job.spec.run_policy.backoff_limit
    for pod in _failed_workers(job, () if begun else pods):
        if (count := times.get(pod.index, 0)) >= limit and not is_counted(job, pod):
            failure = explain_failure(pod)
            before = f"{describe_pod(pod)} was replaced {count} times before. " if count else ""
            return replace(failure, message=before + failure.message)
    return None


def _failed_workers(job: TrainingJob, pods: Iterable[PodView]) -> Iterable[PodView]:
    """Return the pods of an elastic job's workers that failed by themselves; they were not stopped, evicted or deleted.

    A job that is not elastic has none: every failure of its workers ends the attempt.
    """
    for pod in pods if job.spec.elastic else ():
        failed = pod.role == names.WORKER and pod.index < job.spec.workers.replicas and pod.phase == "Failed"
        if failed and pod.exit_code != STOPPED_CODE and not pod.disruption and not pod.deleting:
            yield pod


def check_limits(job: TrainingJob, failure: Finding) -> Finding | None:
    """Return why the job is not restarted after a failure or disruption; None if it is."""
    policy, counts = job.spec.run_policy, job.status.workers
    if isinstance(failure, Disruption):
        if counts.disruptions < policy.disruption_limit:
            return None
        allowed = f"spec.runPolicy.disruptionLimit allows {policy.disruption_limit}"
        message = f"This is disruption {counts.disruptions + 1}; {allowed}. {failure.message}"
        return Finding("DisruptionLimitExceeded", message)
    return _check_permanent(job, failure) or (failure if counts.failures >= policy.backoff_limit else None)


def _check_permanent(job: TrainingJob, failure: Finding) -> Finding | None:
    """Return why another attempt would not help after a failure; None if it might."""
    if failure.reason == INCOMPLETE:
        return failure  # the next attempt would have the same image
    codes, code = job.spec.run_policy.exit_codes, failure.exit_code if isinstance(failure, AttemptFailure) else None
    if codes and code is not None and codes.is_permanent(code):
        message = f"Not restarted after exit code {code} (spec.runPolicy.exitCodes): {failure.message}"
        return Finding(failure.reason, message)
    return None


def _ends_elastic(pod: PodView, failure: Finding) -> bool:
    """Return whether an elastic job ends with this pod: its launcher, or the last worker, which a failure names.

    It outlives the loss of others. Workers are also deleted by the operator, so that only what the cluster says counts.
    """
    if pod.role == names.LAUNCHER:
        return True
    return bool(pod.disruption) and isinstance(failure, AttemptFailure) and failure.worker == pod.index
