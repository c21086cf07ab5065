"""What metrics say of a job: its summary for gauges, and what a change of its status adds to counters."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairlead.api.training_job import TrainingJob
from fairlead.api.training_job_status import ElasticStatus, Progress, TrainingJobStatus
from fairlead.core.conditions import is_true, transition_time
from fairlead.core.training_job import phases

_NAMES = {
    phase.name
    for phase in (
        phases.BLOCKED, phases.SUSPENDED, phases.PENDING, phases.RUNNING, phases.RESTARTING, phases.SUCCEEDED,
        phases.FAILED,
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class JobSummary:
    """The fields of a job that gauges show, kept beside the cached object."""

    phase: str
    launcher: str
    step: int | None = None
    total_steps: int | None = None
    samples_per_second: float | None = None

    @property
    def running(self) -> bool:
        """Return whether the job trains."""
        return self.phase == phases.RUNNING.name


@dataclass(frozen=True)
class Changes:
    """What a change of a job's status adds to counters and histograms."""

    started_after: float | None = None
    """The seconds between the job's creation and its first Running; None unless that has just begun."""
    failures: int = 0
    """Restarts after a failure."""
    disruptions: int = 0
    """Restarts after a disruption."""
    result: str | None = None
    """`succeeded` or `failed`, if the job has just finished."""
    lost_steps: int = 0
    """Steps that were, or have to be, done again."""
    lost_workers: int = 0
    """Workers that an elastic job has lost."""
    epochs: Mapping[str, int] | None = None
    """How many epochs of an elastic job have begun, by reason."""
    checkpoint: tuple[float, int] | None = None
    """The seconds and bytes of a checkpoint that has just been completed."""


def summarize_job(obj: Mapping[str, Any]) -> JobSummary:
    """Return the summary of a TrainingJob as it is stored; unknown phases, of newer versions, are counted as such."""
    status, launcher = obj.get("status") or {}, (obj.get("spec") or {}).get("launcher")
    phase = status.get("phase") or phases.PENDING.name
    progress = status.get("progress") or {}
    return JobSummary(
        sys.intern(phase) if phase in _NAMES else "Unknown",
        launcher if launcher == "Torchrun" else "Horovod",
        progress.get("step"),
        progress.get("totalSteps"),
        progress.get("samplesPerSecond"),
    )


def derive_changes(job: TrainingJob, after: TrainingJobStatus) -> Changes:
    """Return what a new status of a job adds to the metrics; `job` has the status before."""
    before = job.status
    workers, known = after.workers, before.workers
    finished = after.completion_time is not None and before.completion_time is None
    result = "succeeded" if is_true(after.conditions, "Succeeded") else "failed"
    old, new = before.elastic or ElasticStatus(), after.elastic or ElasticStatus()
    epochs = max(new.epoch - old.epoch, 0)
    elastic = job.spec.elastic is not None
    return Changes(
        started_after=_seconds_to_start(job, after),
        failures=max(workers.failures - known.failures, 0),
        disruptions=max(workers.disruptions - known.disruptions, 0),
        result=result if finished else None,
        # the launcher of an elastic job counts these itself; what a restart costs such a job is not known
        lost_steps=max(new.lost_steps - old.lost_steps, 0) if elastic else _lost_steps(before.progress, after.progress),
        lost_workers=max(new.lost_workers - old.lost_workers, 0),
        epochs={new.reason or "Unknown": epochs} if epochs else None,
        checkpoint=_new_checkpoint(before.progress, after.progress),
    )


def _seconds_to_start(job: TrainingJob, after: TrainingJobStatus) -> float | None:
    """Return the seconds from the creation to the first Running, if that has just begun."""
    known, created = job.status.conditions, job.metadata.creation_timestamp
    running = transition_time(after.conditions, "Running")
    if created is None or running is None or not is_true(after.conditions, "Running") or is_true(known, "Running"):
        return None
    # all conditions are set together at first; that of a job which ran before has changed since, Succeeded's has not
    if transition_time(known, "Running") != transition_time(known, "Succeeded"):
        return None
    return max((running - created).total_seconds(), 0.0)


def _lost_steps(before: Progress | None, after: Progress | None) -> int:
    """Return how many steps a new attempt has to repeat, which shows by its checkpoint or by a step that moved back."""
    if before is None or after is None:
        return 0
    resumed = after.resumed_from_step
    if after.step >= before.step and resumed in (None, before.resumed_from_step):
        return 0
    return max(before.step - (after.step if resumed is None else resumed), 0)


def _new_checkpoint(before: Progress | None, after: Progress | None) -> tuple[float, int] | None:
    if after is None or after.checkpoint_seconds is None or after.checkpoint_bytes is None:
        return None
    if before is not None and before.checkpoint_step == after.checkpoint_step:
        return None
    return after.checkpoint_seconds, after.checkpoint_bytes
