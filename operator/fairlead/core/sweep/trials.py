"""The trials of a Sweep: what is recorded of them, brought up to date by what is seen of their jobs.

The record in the status is what counts. It is written before a job is created or suspended for it, so that an operator
that was killed goes on from it. A record that was lost, as in a restored backup, is made again from the jobs.
"""

from collections.abc import Container, Iterable, Sequence

from fairlead.api.sweep import Sweep
from fairlead.api.sweep_status import MAX_TRIALS, TrialStatus
from fairlead.core import names
from fairlead.core.conditions import summarize
from fairlead.core.sweep.observed import ObservedSweep
from fairlead.core.sweep.rungs import find_bracket, find_rungs, survives
from fairlead.core.sweep.values import are_allowed
from fairlead.core.views import TrialView

Trials = tuple[TrialStatus, ...]


def update_trials(sweep: Sweep, observed: ObservedSweep) -> Trials:
    """Return the trials as their jobs are now, by number; those that others beat at a rung are pruned."""
    jobs = {job.number: job for job in observed.jobs if job.finished or not job.deleting}
    trials = [_update(sweep, trial, jobs.get(trial.number)) for trial in _recall(sweep, jobs.values())]
    if observed.rejection and observed.rejection.invalid:
        trials = [_reject(sweep, trial, jobs, observed.rejection.message) for trial in trials]
    before = {trial.number: len(trial.rungs) for trial in sweep.status.trials}
    return tuple(_judge(sweep, trial, trials, before.get(trial.number, 0)) for trial in trials)


def is_trial(sweep: Sweep, job: TrialView) -> bool:
    """Return whether a job that the sweep owns has the name of the trial that its label says it is."""
    return 1 <= job.number <= MAX_TRIALS and job.name == names.trial_name(sweep, job.number)


def _recall(sweep: Sweep, jobs: Iterable[TrialView]) -> list[TrialStatus]:
    """Return the recorded trials, and those of jobs that are not recorded."""
    known = {trial.number: trial for trial in sweep.status.trials}
    for job in jobs:
        values = dict(job.values)
        if job.number not in known and are_allowed(sweep.spec.parameters, values):
            known[job.number] = TrialStatus(number=job.number, parameters=values)
    return sorted(known.values(), key=lambda trial: trial.number)


def _update(sweep: Sweep, trial: TrialStatus, job: TrialView | None) -> TrialStatus:
    """Return a trial as its job is now; one that has ended never changes."""
    if not trial.active or (job is None and trial.state == "Pending"):
        return trial
    if job is None:
        return _end(trial, "Failed", message="Its job was deleted.")
    value, step = job.find_metric(sweep.spec.objective.metric), job.step
    if job.phase == "Failed":
        return _end(trial, "Failed", message=summarize(job.message))
    if job.phase == "Succeeded":
        if value is None:
            missing = f"Its job reported no metric {sweep.spec.objective.metric} at its end."
            return _end(trial, "Failed", message=missing)
        return _end(trial, "Succeeded", value=value, step=step)
    if trial.state == "Pending" and not job.started:
        return trial
    running = trial.model_copy(update={"state": "Running"})
    # one that is at its last step has nothing left to save
    return running if value is None or job.trained else _climb(sweep, running, value, step)


def _reject(sweep: Sweep, trial: TrialStatus, jobs: Container[int], message: str) -> TrialStatus:
    """Return a trial whose job the API server has just found invalid, and which it names, as failed."""
    named = f'"{names.trial_name(sweep, trial.number)}"' in message
    if trial.state != "Pending" or trial.number in jobs or not named:
        return trial
    return _end(trial, "Failed", message=summarize(message))


def _climb(sweep: Sweep, trial: TrialStatus, value: float, step: int) -> TrialStatus:
    """Return a running trial with its value at each rung that it has reached since the last look."""
    steps = find_rungs(sweep.spec.pruning, trial.number) if sweep.spec.pruning else ()
    reached = sum(rung <= step for rung in steps)
    if reached <= len(trial.rungs):
        return trial
    more = (value,) * (reached - len(trial.rungs))
    return trial.model_copy(update={"rungs": trial.rungs + more, "value": value, "step": step})


def _judge(sweep: Sweep, trial: TrialStatus, trials: Sequence[TrialStatus], before: int) -> TrialStatus:
    """Prune a running trial that is not among the best at a rung which it has just reached."""
    pruning = sweep.spec.pruning
    if pruning is None or trial.state != "Running":
        return trial
    bracket, steps = find_bracket(pruning, trial.number), find_rungs(pruning, trial.number)
    for rung in range(before, len(trial.rungs)):
        values = [
            other.rungs[rung]
            for other in trials
            if len(other.rungs) > rung and find_bracket(pruning, other.number) == bracket
        ]
        if not survives(sweep.spec.objective, trial.rungs[rung], values, pruning.reduction_factor):
            best = max(len(values) // pruning.reduction_factor, 1)
            message = f"Not among the best {best} of {len(values)} trials at step {steps[rung]}."
            return _end(trial, "Pruned", message=message)
    return trial


def _end(trial: TrialStatus, state: str, **changes: object) -> TrialStatus:
    return trial.model_copy(update={"state": state, **changes})
