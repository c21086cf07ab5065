"""Whether a job's workers have registered with their launcher, which is what Running means.

Running becomes True when the launcher of the current attempt reports that every worker has registered, and stays True
until the attempt ends: a report that cannot be read, such as after a restart of the operator, takes nothing back.

A launcher that cannot be read, because a NetworkPolicy keeps the operator out or an image of the user's serves no
status, would otherwise keep its job Pending although it trains, and a deadline would end it. So once all pods run and
the launcher has been silent for `SILENT_SECONDS`, Running is True with the reason RegistrationUnknown. Once all pods
run, preRunningDeadlineSeconds applies only while the launcher answers that workers are missing. A later report corrects
the assumption in either direction. The job ends by its pods in any case: the launcher fails a run whose workers do not
register in time, an agent one whose launcher it cannot reach, and `check_ended_workers` one that no worker is left to
finish.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from fairlead.api.base import Condition
from fairlead.api.training_job import TrainingJob
from fairlead.core import names
from fairlead.core.conditions import Finding, format_time
from fairlead.core.training_job.observed import Launcher, LauncherReport, ObservedJob
from fairlead.core.views import PodView

SILENT_SECONDS = 30.0
"""How long a launcher may be silent, such as while it starts, before its pods alone determine whether the job runs."""
MISSED_SECONDS = 5.0
"""How long the launcher of a running job may be silent before its condition says so."""
UNKNOWN = "RegistrationUnknown"
DELAYED = "WorkersDelayed"
NOT_FINISHED = "LauncherNotFinished"
_UNNOTICED_SECONDS = 15.0
"""How long after a worker's end its launcher may wait for it: more than the clocks of their nodes differ."""
_UNFINISHED_SECONDS = 60.0
"""How long a launcher may run after its last worker has ended; it usually ends with it."""
_MIN_RETRY = 1.0
_MAX_NAMED = 8
"""The maximum number of missing workers that a message names."""


def check_registration(job: TrainingJob, observed: ObservedJob, now: datetime) -> Finding | None:
    """Find why a job whose pods all run is not Running yet: the workers that its launcher waits for."""
    report, desired = observed.launcher.report, job.spec.workers.replicas
    if report and _have_registered(job, report):
        return None
    running = running_condition(job)
    if (running and running.reason != UNKNOWN) or seconds_of_silence(observed.launcher, now) >= SILENT_SECONDS:
        return None
    if report is None and running:
        return None  # the operator has just started and assumed it before
    if report is None:
        since = observed.launcher.silent_since
        silence = f"has not answered since {format_time(since)}" if since else "has not reported yet"
        return Finding("LauncherStarting", f"All pods run; the launcher {silence}.")
    return Finding("WorkersRegistering", _describe_registration(report, desired))


def check_ended_workers(
    job: TrainingJob, observed: ObservedJob, pods: Iterable[PodView], now: datetime
) -> Finding | None:
    """Find a worker of `pods`, the current attempt's, that ended while its launcher still waits for workers.

    An agent starts its command when all have registered, so a worker that ends before, even with code 0, leaves the
    others waiting. A launcher that cannot be read is judged when none of its workers is left.
    """
    report, ended = observed.launcher.report, _ended_workers(pods)
    if not ended:
        return None
    first, last = ended[0], ended[-1]
    if report and report.read and is_registering(job, observed):
        if (report.read - first.ended).total_seconds() < _UNNOTICED_SECONDS:
            return None
        state = _describe_registration(report, job.spec.workers.replicas)
        message = f"Worker {first.pod.index} exited with code {first.pod.exit_code} before all had registered"
        return Finding("WorkerNotRegistered", f"{message}: {state}")
    if len(ended) < job.spec.workers.replicas or (now - last.ended).total_seconds() < _UNFINISHED_SECONDS:
        return None
    message = f"All workers have ended, the last one at {format_time(last.ended)}"
    return Finding(NOT_FINISHED, f"{message}; the launcher has neither ended nor reported why.")


def seconds_to_ended_workers(
    job: TrainingJob, observed: ObservedJob, pods: Iterable[PodView], now: datetime
) -> float | None:
    """Return the seconds until `check_ended_workers` may find something that it does not find now."""
    ended = _ended_workers(pods)
    if ended and is_registering(job, observed):
        return max(_MIN_RETRY, _UNNOTICED_SECONDS - (now - ended[0].ended).total_seconds())
    if ended and len(ended) == job.spec.workers.replicas:
        return max(_MIN_RETRY, _UNFINISHED_SECONDS - (now - ended[-1].ended).total_seconds())
    return None


def is_registering(job: TrainingJob, observed: ObservedJob) -> bool:
    """Return whether the launcher answers and waits for workers."""
    report, silent = observed.launcher.report, observed.launcher.silent_since is not None
    return report is not None and not silent and not _have_registered(job, report)


def explain_running(job: TrainingJob, observed: ObservedJob, ready: int, now: datetime) -> Finding:
    """Return the explanation of Running."""
    desired, report, running = job.spec.workers.replicas, observed.launcher.report, running_condition(job)
    delays = _describe_delays(report, desired) if report else ""
    silent_since = observed.launcher.silent_since
    if report and silent_since and seconds_of_silence(observed.launcher, now) >= MISSED_SECONDS:
        delays = f" The launcher has not answered since {format_time(silent_since)}."
    reason = DELAYED if delays else "WorkersRunning"
    if elastic := job.spec.elastic:
        bounds = f"{elastic.min_replicas} to {elastic.max_replicas}"
        return Finding(reason, f"{ready} of {desired} workers are running; the job can run with {bounds}.{delays}")
    if (running and running.reason != UNKNOWN) or (report and _have_registered(job, report)):
        return Finding(reason, f"{desired} workers are running.{delays}")
    message = f"{desired} worker pods run; whether they have registered is unknown: the launcher cannot be read."
    return Finding(UNKNOWN, message)


def seconds_of_silence(launcher: Launcher, now: datetime) -> float:
    """Return for how long a launcher could not be read; 0 if it answers."""
    return (now - launcher.silent_since).total_seconds() if launcher.silent_since else 0.0


def _have_registered(job: TrainingJob, report: LauncherReport) -> bool:
    """Return whether the launcher waits for no worker.

    That of an elastic job waits for as many as the job asked for when it started, and not for all of them.
    """
    return report.complete if job.spec.elastic else report.registered >= job.spec.workers.replicas


def _describe_registration(report: LauncherReport, desired: int) -> str:
    message = f"{report.registered} of {desired} workers {'has' if report.registered == 1 else 'have'} registered"
    missing = [worker for worker in report.missing if 0 <= worker < desired][:_MAX_NAMED]
    if missing:
        others = desired - report.registered - len(missing)
        message += f"; waiting for worker{'s' if len(missing) > 1 else ''} {', '.join(map(str, missing))}"
        message += f" and {others} more" if others > 0 else ""
        message += f", until {format_time(report.until)}" if report.until else ""
    return f"{message}.{_describe_delays(report, desired)}"


def _describe_delays(report: LauncherReport, desired: int) -> str:
    """Return a sentence for each worker that is delayed, each after a space."""
    # a launcher does not know which of the workers that it has lost are not to come back
    return "".join(f" Worker {delay.worker}: {delay.activity}." for delay in report.delays if delay.worker < desired)


@dataclass(frozen=True)
class _End:
    pod: PodView
    ended: datetime


def _ended_workers(pods: Iterable[PodView]) -> list[_End]:
    """Return the workers that have ended, in the order of their ends."""
    ended = [_End(pod, pod.ended) for pod in pods if pod.role == names.WORKER and pod.finished and pod.ended]
    return sorted(ended, key=lambda end: end.ended)


def running_condition(job: TrainingJob) -> Condition | None:
    """Return the condition Running if it is True."""
    return next((c for c in job.status.conditions if c.type == "Running" and c.status == "True"), None)
