"""What metrics say of a sweep: what a change of its status adds to counters."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from fairlead.api.sweep import Sweep
from fairlead.api.sweep_status import SweepStatus
from fairlead.core.conditions import is_true


@dataclass(frozen=True)
class SweepChanges:
    """What a change of a sweep's status adds to counters."""

    ended: Mapping[str, int]
    """How many trials have ended, by result: succeeded, pruned, failed or stopped."""
    result: str | None = None
    """`succeeded` or `failed`, if the sweep has just finished."""


def derive_sweep_changes(sweep: Sweep, after: SweepStatus) -> SweepChanges:
    """Return what a new status of a sweep adds to the metrics; `sweep` has the status before."""
    known = {trial.number for trial in sweep.status.trials if not trial.active}
    ended = Counter(trial.state.lower() for trial in after.trials if not trial.active and trial.number not in known)
    finished = after.completion_time is not None and sweep.status.completion_time is None
    result = "succeeded" if is_true(after.conditions, "Succeeded") else "failed"
    return SweepChanges(ended, result if finished else None)
