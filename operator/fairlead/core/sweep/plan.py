"""The planner of Sweeps.

The status, which records every trial, is written before a job is created or suspended for it: an operator that is
killed between two writes goes on from the record, and what it does again has no effect.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from fairlead.api.sweep import Sweep
from fairlead.api.sweep_status import TrialStatus
from fairlead.core import names
from fairlead.core.conditions import Finding, is_true
from fairlead.core.plan import Event, Patch, Plan
from fairlead.core.sweep.build import build_trial, check_template
from fairlead.core.sweep.choosing import choose_values, find_limit, find_next
from fairlead.core.sweep.observed import ObservedSweep
from fairlead.core.sweep.phases import BLOCKED, FAILED, RUNNING, SUCCEEDED, SUSPENDED, Phase
from fairlead.core.sweep.status import derive_finished, derive_status, find_best, summarize_trials
from fairlead.core.sweep.trials import Trials, update_trials

RETRY_SECONDS = 30.0
"""How often a sampler that fails is asked again."""
_AFTER_DEADLINE = 0.1
"""Seconds to wait past a deadline before checking it."""


def plan_sweep(sweep: Sweep, observed: ObservedSweep, now: datetime) -> Plan:
    """Plan the next step of a Sweep."""
    if sweep.status.completion_time:
        return _plan_finished(sweep, observed, now)
    trials = update_trials(sweep, observed)
    if end := _check_end(sweep, trials, now):
        return _finish(sweep, observed, trials, *end, now)
    if sweep.spec.suspend:
        finding = Finding("Suspended", f"spec.suspend is true. {_sentence(trials)}")
        status = derive_status(sweep, SUSPENDED, finding, trials, observed.jobs, now)
        return Plan(status, patches=_hold(sweep, observed, trials))
    numbers = find_next(sweep, trials)
    values = choose_values(sweep, numbers, observed.suggestions)
    added = tuple(TrialStatus(number=number, parameters=each) for number, each in values.items())
    trials = tuple(sorted((*trials, *added), key=lambda trial: trial.number))
    if trials and (invalid := check_template(sweep, trials[0])):
        return _finish(sweep, observed, trials, FAILED, invalid, now)
    return _run(sweep, observed, trials, len(values) < len(numbers), now)


def _run(sweep: Sweep, observed: ObservedSweep, trials: Trials, lacking: bool, now: datetime) -> Plan:
    """Create the jobs of trials that have none, and hold those of trials that have ended.

    `lacking`: another trial could begin, and its values are not known yet.
    """
    existing = {job.number for job in observed.jobs}
    missing = [trial for trial in trials if trial.state == "Pending" and trial.number not in existing]
    phase, finding = _describe(sweep, observed, trials, bool(missing) or lacking)
    status = derive_status(sweep, phase, finding, trials, observed.jobs, now)
    return Plan(
        status,
        apply_last=() if observed.rejection else tuple(build_trial(sweep, trial) for trial in missing),
        patches=_hold(sweep, observed, trials),
        events=_report(sweep, phase, finding),
        requeue_after=_seconds_to_next(sweep, observed, now),
    )


def _check_end(sweep: Sweep, trials: Trials, now: datetime) -> tuple[Phase, Finding] | None:
    """Find why the sweep ends."""
    spec, best = sweep.spec, find_best(sweep.spec.objective, trials)
    failed = sum(trial.state == "Failed" for trial in trials)
    if failed > spec.max_failed_trials:
        last = next(trial for trial in reversed(trials) if trial.state == "Failed")
        message = f"{failed} trials have failed; spec.maxFailedTrials allows {spec.max_failed_trials}. "
        return FAILED, Finding("TooManyFailedTrials", f"{message}Trial {last.number}: {last.message}")
    target = spec.objective.target
    if best and best.value is not None and target is not None and not spec.objective.improves(target, best.value):
        message = f"Trial {best.number} has {spec.objective.metric} {best.value:g}; the target is {target:g}."
        return SUCCEEDED, Finding("TargetReached", message)
    late = _seconds_to_deadline(sweep, now)
    if late is not None and late <= 0:
        reason, why = "DeadlineReached", f"spec.activeDeadlineSeconds, {spec.active_deadline_seconds}, are over."
    elif len(trials) >= find_limit(sweep) and not any(trial.active for trial in trials):
        reason, why = "TrialsFinished", "All trials have ended."
    else:
        return None
    if best is None:
        return FAILED, Finding("NoTrialSucceeded", f"{why} {_sentence(trials)}")
    return SUCCEEDED, Finding(reason, f"{why} The best is trial {best.number}. {_sentence(trials)}")


def _finish(
    sweep: Sweep, observed: ObservedSweep, trials: Trials, phase: Phase, finding: Finding, now: datetime
) -> Plan:
    """End the sweep, and the trials that still run."""
    stopped = tuple(trial.model_copy(update={"state": "Stopped"}) if trial.active else trial for trial in trials)
    status = derive_status(sweep, phase, finding, stopped, observed.jobs, now)
    patches = _hold(sweep, observed, stopped)
    return Plan(status, patches=patches, events=_report(sweep, phase, finding), requeue_after=0)


def _plan_finished(sweep: Sweep, observed: ObservedSweep, now: datetime) -> Plan:
    """Keep the jobs of trials that were stopped from running, and delete the sweep when its time to live is over."""
    status, ttl, finished = derive_finished(sweep), sweep.spec.ttl_seconds_after_finished, sweep.status.completion_time
    patches = _hold(sweep, observed, status.trials)
    if ttl is None or finished is None:
        return Plan(status, patches=patches)
    left = ttl - (now - finished).total_seconds()
    return Plan(status, patches=patches, expired=left <= 0, requeue_after=left + _AFTER_DEADLINE if left > 0 else None)


def _hold(sweep: Sweep, observed: ObservedSweep, trials: Sequence[TrialStatus]) -> tuple[Patch, ...]:
    """Suspend the jobs that are not to run, which keep their record, and resume those that are."""
    active = {trial.number for trial in trials if trial.active}
    patches = []
    for job in observed.jobs:
        held = sweep.spec.suspend or job.number not in active
        if not job.finished and not job.deleting and job.suspended != held:
            body = {"spec": {"runPolicy": {"suspend": held}}}
            patches.append(Patch("TrainingJob", names.trial_name(sweep, job.number), job.uid, body))
    return tuple(patches)


def _describe(sweep: Sweep, observed: ObservedSweep, trials: Trials, waits: bool) -> tuple[Phase, Finding]:
    """Return the phase of a sweep that goes on, and what explains it; `waits` if another trial is about to begin."""
    if observed.rejection:
        return BLOCKED, Finding("Rejected", observed.rejection.message)
    if observed.suggestions and observed.suggestions.problem:
        again = f"It is asked again in {RETRY_SECONDS:g} s. {_sentence(trials)}"
        return BLOCKED, Finding("SamplerFailed", f"{observed.suggestions.problem}. {again}")
    blocked = next((each for each in sweep.status.conditions if each.type == "Blocked"), None)
    if waits and blocked and blocked.status == "True":
        return BLOCKED, Finding(blocked.reason, blocked.message)  # until the next try is known to have succeeded
    active = {trial.number for trial in trials if trial.active}
    jobs = [job for job in observed.jobs if job.number in active and not job.deleting]
    if jobs and len(jobs) == len(active) and all(job.phase == "Blocked" for job in jobs):
        message = f"No trial can run. Trial {jobs[0].number}: {jobs[0].message} {_sentence(trials)}"
        return BLOCKED, Finding("TrialsBlocked", message)
    return RUNNING, Finding("TrialsRunning", _sentence(trials))


def _report(sweep: Sweep, phase: Phase, finding: Finding) -> tuple[Event, ...]:
    """Return the event that the sweep has ended, or that no further trial can be created, which is reported once."""
    if phase is RUNNING or (phase is BLOCKED and is_true(sweep.status.conditions, "Blocked")):
        return ()
    type_ = "Normal" if phase is SUCCEEDED else "Warning"
    return (Event(type_, finding.reason, finding.message, phase.name),)


def _seconds_to_next(sweep: Sweep, observed: ObservedSweep, now: datetime) -> float | None:
    times = [_seconds_to_deadline(sweep, now)]
    if observed.suggestions and observed.suggestions.problem:
        times.append(RETRY_SECONDS)
    return min((time + _AFTER_DEADLINE for time in times if time is not None), default=None)


def _seconds_to_deadline(sweep: Sweep, now: datetime) -> float | None:
    """Return the seconds until the sweep ends; None if it has no deadline, or is suspended."""
    seconds, start = sweep.spec.active_deadline_seconds, sweep.status.start_time
    if seconds is None or sweep.spec.suspend:
        return None
    return ((start or now.replace(microsecond=0)) + timedelta(seconds=seconds) - now).total_seconds()


def _sentence(trials: Trials) -> str:
    return f"{summarize_trials(trials)}."
