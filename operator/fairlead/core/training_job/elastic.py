"""What the operator does for an elastic job while its launcher runs: it replaces workers, adds them and lets them go.

The launcher decides which workers train, and whether the attempt has failed. A worker that failed is replaced after
hostCooldownSeconds, until when its pod and log can be read, and after twice the time each time that it fails again. One
that was evicted, that its launcher has stopped, or that has left no time of its end, is replaced at once. One that no
other pod would help, such as after a permanent exit code, ends the job (`failures.py`). One more than the job asks for
is deleted: its agent lets the others go on after their next commit.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fairlead_contracts.termination import STOPPED_CODE

from fairlead.api.training_job import TrainingJob
from fairlead.api.training_job_status import MAX_REPLACED, ReplacedWorker
from fairlead.core import names
from fairlead.core.children import Object
from fairlead.core.conditions import Finding, format_time
from fairlead.core.settings import Settings
from fairlead.core.training_job.build import build_worker
from fairlead.core.training_job.observed import Launcher, ObservedJob
from fairlead.core.views import PodView

_LONGEST_SECONDS, _MAX_DOUBLINGS = 600, 10
"""The longest time until a worker that fails again and again is replaced, unless hostCooldownSeconds is longer."""
_LONG_RUN_SECONDS = 600
"""How long a worker must have run so that its earlier failures do not count."""
_LOST_SECONDS = 60.0
"""How long a launcher that does not answer may go on without a worker."""


@dataclass(frozen=True)
class Workers:
    """What to do with the worker pods of an elastic job."""

    create: tuple[Object, ...] = ()
    surplus: tuple[PodView, ...] = ()
    """Pods to delete because the job asks for fewer."""
    failed: tuple[PodView, ...] = ()
    """Pods to delete because other ones replace them, once the status counts them."""
    counted: tuple[PodView, ...] = ()
    """Those of them that the status does not count yet."""
    replaced: tuple[ReplacedWorker, ...] = ()
    """The workers that have been replaced, these included; the last ones come last."""
    again: float | None = None
    """The seconds until the next one is replaced; None if none is."""


def is_elastic(job: TrainingJob, pods: Iterable[PodView]) -> bool:
    """Return whether workers of this job may be lost: it is elastic, and its launcher runs."""
    launchers = (pod for pod in pods if pod.role == names.LAUNCHER)
    return job.spec.elastic is not None and any(not pod.finished and not pod.deleting for pod in launchers)


def has_begun(observed: ObservedJob) -> bool:
    """Return whether the launcher says that it waits for no worker: it may train with fewer than the job asks for."""
    return observed.launcher.report is not None and observed.launcher.report.complete


def has_enough(job: TrainingJob, pods: Iterable[PodView]) -> bool:
    """Return whether an elastic job can begin with the pods that exist."""
    workers = [pod for pod in pods if pod.role == names.WORKER and not pod.finished]
    return job.spec.elastic is not None and len(workers) >= job.spec.elastic.min_replicas


def plan_workers(job: TrainingJob, pods: tuple[PodView, ...], settings: Settings, now: datetime) -> Workers:
    """Plan the worker pods of the current attempt; `pods` are all of it."""
    desired, replaced = job.spec.workers.replicas, job.status.elastic.replaced if job.status.elastic else ()
    workers = [pod for pod in pods if pod.role == names.WORKER]
    if job.spec.elastic is None or any(pod.phase == "Succeeded" for pod in workers):
        return Workers(replaced=replaced)  # the job is about to end
    times = {known.worker: known.times for known in replaced}
    failed = [pod for pod in workers if pod.index < desired and pod.phase == "Failed" and not pod.deleting]
    known = [pod for pod in failed if is_counted(job, pod)]
    waits = {pod.name: _seconds_left(job, pod, times.get(pod.index, 0), now) for pod in failed if pod not in known}
    due = tuple(pod for pod in failed if waits.get(pod.name, 0) <= 0)
    counted = tuple(pod for pod in due if pod not in known)
    existing = {pod.index for pod in workers}
    missing = [index for index in range(desired) if index not in existing]
    return Workers(
        create=tuple(build_worker(job, index, job.status.workers.restarts, settings) for index in missing),
        surplus=tuple(pod for pod in workers if pod.index >= desired),
        failed=due,
        counted=counted,
        replaced=_count(replaced, counted),
        again=min((seconds for seconds in waits.values() if seconds > 0), default=None),
    )


def seconds_to_lost_launcher(launcher: Launcher, pods: Iterable[PodView], now: datetime) -> float | None:
    """Return the seconds until a launcher counts as lost that neither answers nor has a worker left.

    None for one that answers, or whose workers may still train. Workers that are younger than the silence of a launcher
    that has answered before wait for it. Until it is judged, no worker is replaced.
    """
    since, workers = launcher.silent_since, [pod for pod in pods if pod.role == names.WORKER]
    if since is None or not workers:
        return None
    for pod in workers:
        waits = launcher.report is not None and pod.created is not None and pod.created > since
        if not pod.finished and not waits:
            return None
    last = max([since, *(pod.ended for pod in workers if pod.ended)])
    return _LOST_SECONDS - (now - last).total_seconds()


def check_lost_launcher(launcher: Launcher, pods: Iterable[PodView], now: datetime) -> Finding | None:
    """Find a launcher that counts as lost."""
    seconds, since = seconds_to_lost_launcher(launcher, pods, now), launcher.silent_since
    if seconds is None or seconds > 0 or since is None:
        return None
    message = f"The launcher has not answered since {format_time(since)}, and no worker is left that could train"
    return Finding("LauncherNotFinished", f"{message}; it has neither ended nor reported why.")


def _seconds_left(job: TrainingJob, pod: PodView, times: int, now: datetime) -> float:
    """Return the seconds until a failed worker is replaced that was replaced a number of times before."""
    if job.spec.elastic is None or pod.ended is None:
        return 0.0
    # it has no fault of its own the first time that its launcher stops it or the cluster takes it away
    blameless = pod.exit_code == STOPPED_CODE or bool(pod.disruption)
    doublings = (0 if _ran_long(pod) else times) - blameless
    cooldown = job.spec.elastic.host_cooldown_seconds
    delay = 0 if doublings < 0 else min(cooldown << min(doublings, _MAX_DOUBLINGS), max(cooldown, _LONGEST_SECONDS))
    return (pod.ended + timedelta(seconds=delay) - now).total_seconds()


def is_counted(job: TrainingJob, pod: PodView) -> bool:
    """Return whether the status counts the replacement of this pod: only its deletion is left to do."""
    replaced = job.status.elastic.replaced if job.status.elastic else ()
    return any((known.worker, known.uid) == (pod.index, pod.uid) for known in replaced)


def _count(replaced: tuple[ReplacedWorker, ...], due: tuple[PodView, ...]) -> tuple[ReplacedWorker, ...]:
    """Return what was replaced with what is replaced now."""
    workers = {known.worker: known for known in replaced}
    for pod in due:
        # it becomes the last one
        before = workers.pop(pod.index, None)
        times = before.times if before and not _ran_long(pod) else 0
        workers[pod.index] = ReplacedWorker(worker=pod.index, times=1 + times, uid=pod.uid)
    return tuple(workers.values())[-MAX_REPLACED:]


def _ran_long(pod: PodView) -> bool:
    if pod.ended is None or pod.created is None:
        return False
    return (pod.ended - pod.created).total_seconds() >= _LONG_RUN_SECONDS
