"""The status of a Sweep, derived from its trials."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from fairlead.api.sweep import Objective, Sweep
from fairlead.api.sweep_status import BestTrial, SweepStatus, TrialCounts, TrialStatus
from fairlead.core import names
from fairlead.core.conditions import Finding, merge_conditions, observe_generation
from fairlead.core.sweep.phases import FAILED, SUCCEEDED, SUSPENDED, Phase, build_conditions
from fairlead.core.views import TrialView


def derive_status(
    sweep: Sweep,
    phase: Phase,
    finding: Finding,
    trials: Sequence[TrialStatus],
    jobs: Iterable[TrialView],
    now: datetime,
) -> SweepStatus:
    """Derive the status of a sweep in a phase."""
    before, generation = sweep.status, sweep.metadata.generation
    ended = phase in (SUCCEEDED, FAILED)
    return SweepStatus(
        observed_generation=generation,
        conditions=merge_conditions(before.conditions, build_conditions(phase, finding), generation, now),
        phase=phase.name,
        start_time=None if phase is SUSPENDED else before.start_time or now.replace(microsecond=0),
        completion_time=now.replace(microsecond=0) if ended else None,
        counts=count_trials(trials),
        best=_derive_best(sweep, trials, jobs),
        trials=tuple(trials),
    )


def derive_finished(sweep: Sweep) -> SweepStatus:
    """Return the status of a finished sweep, which never changes, as observed for the current generation."""
    generation = sweep.metadata.generation
    conditions = observe_generation(sweep.status.conditions, generation)
    return sweep.status.model_copy(update={"observed_generation": generation, "conditions": conditions})


def find_best(objective: Objective, trials: Iterable[TrialStatus]) -> TrialStatus | None:
    """Return the trial with the best value of those that have succeeded; the first of equal ones."""
    best: TrialStatus | None = None
    for trial in trials:
        if trial.state != "Succeeded" or trial.value is None:
            continue
        if best is None or best.value is None or objective.improves(trial.value, best.value):
            best = trial
    return best


def count_trials(trials: Sequence[TrialStatus]) -> TrialCounts:
    """Return the number of trials in each state."""
    counts = Counter(trial.state.lower() for trial in trials)
    return TrialCounts(total=len(trials), **counts)


def summarize_trials(trials: Sequence[TrialStatus]) -> str:
    """Return how many trials there are in each state, in words."""
    counts = Counter(trial.state.lower() for trial in trials)
    states = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    return f"{len(trials)} trial{'' if len(trials) == 1 else 's'}{': ' if states else ''}{states}"


def _derive_best(sweep: Sweep, trials: Sequence[TrialStatus], jobs: Iterable[TrialView]) -> BestTrial | None:
    """Return the best trial with its model, which is kept when its job is gone."""
    trial = find_best(sweep.spec.objective, trials)
    if trial is None or trial.value is None:
        return None
    before = sweep.status.best
    model = before.model if before and before.number == trial.number else None
    return BestTrial(
        number=trial.number,
        job=names.trial_name(sweep, trial.number),
        value=trial.value,
        parameters=trial.parameters,
        model=next((job.model for job in jobs if job.number == trial.number and job.model), model),
    )
