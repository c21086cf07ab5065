"""What a rollout does when an interval has ended: it judges the candidate, then goes on, holds, or gives up."""

import math
from dataclasses import replace
from datetime import datetime

from fairlead.api.rollout import MAX_VERDICTS, Rollout, RolloutPhase, RolloutStatus, Verdict
from fairlead.core.model_deployment.transitions import (
    Revisions,
    Transition,
    change,
    describe_last,
    enter,
    event,
    has_failed,
    is_last_gate,
    number,
    roll_back,
    step_of,
)
from fairlead.core.model_deployment.verdicts import Evidence, Judgement, judge


def check(
    policy: Rollout, before: Revisions, evidence: Evidence, held: bool, awaited: str, now: datetime
) -> Transition:
    """Judge the interval that has ended, and count its time, unless the rollout is held.

    `awaited` is what a promotion waits for, beside verdicts and pods.
    """
    rollout, interval = before.rollout, policy.analysis.interval_seconds
    waited = (now - rollout.checked_at).total_seconds() if rollout.checked_at else 0.0
    counted = 0.0 if held else min(max(waited, 0.0), interval)
    rollout = change(rollout, checked_at=now, elapsed_seconds=round(rollout.elapsed_seconds + counted, 3))
    state = replace(before, rollout=rollout)
    if rollout.weight or rollout.mirror:
        judgement = judge(policy.analysis, evidence)
        state = replace(state, rollout=_record(policy, rollout, judgement, evidence, now))
        if state.rollout.failures > policy.analysis.failure_limit:
            return roll_back(state, "AnalysisFailed", f"{judgement.message}{_count(policy, state.rollout)}", now)
        if judgement.result == "Failed":
            message = f"Revision {state.candidate}: {judgement.message}{_count(policy, state.rollout)}"
            return Transition(state, (event("VerdictFailed", message, state.rollout, "Warning"),))
    if held:
        return Transition(state)
    return _move_on(policy, state, before.rollout.elapsed_seconds, awaited, now)


def seconds_to_check(policy: Rollout, rollout: RolloutStatus, now: datetime) -> float:
    """Return the seconds until the candidate is judged next."""
    if rollout.checked_at is None:
        return 0.0
    waited = (now - rollout.checked_at).total_seconds()
    return max(0.0, policy.analysis.interval_seconds - waited) if waited >= 0 else 0.0


def _record(
    policy: Rollout, rollout: RolloutStatus, judgement: Judgement, evidence: Evidence, now: datetime
) -> RolloutStatus:
    """Add a verdict. A conclusive one ends its window; the counts of others are kept."""
    p99 = evidence.p99_seconds
    verdict = Verdict(
        at=now,
        result=judgement.result,
        step=number(policy, rollout),
        requests=evidence.requests,
        errors=evidence.errors,
        p99_seconds=None if p99 is None or math.isinf(p99) else float(f"{p99:.4g}"),
        compared=evidence.compared,
        agreed=evidence.agreed,
        message=judgement.message[:512],
    )
    verdicts = (*rollout.verdicts, verdict)[-MAX_VERDICTS:]
    if judgement.result == "Inconclusive":
        return change(rollout, verdicts=verdicts)
    failed = judgement.result == "Failed"
    return change(
        rollout,
        verdicts=verdicts,
        passed=not failed,
        failures=rollout.failures + failed,
        window=rollout.window + 1,
        generation=rollout.generation + 1,
    )


def _move_on(policy: Rollout, state: Revisions, elapsed_before: float, awaited: str, now: datetime) -> Transition:
    """Go to the next step after a passed verdict, or give up after the deadline."""
    rollout, step = state.rollout, step_of(policy, state.rollout)
    measuring = rollout.phase == "Measuring"
    over = measuring and rollout.elapsed_seconds >= step.seconds
    if over and rollout.passed:
        last = number(policy, rollout) == len(policy.steps)
        changes = {} if last else {"step": rollout.step + 1}
        phase: RolloutPhase = "Promoting" if last else "Scaling"
        after = replace(state, rollout=enter(rollout, phase, now, passed=True, **changes))
        words = "all steps and gets all its pods" if last else f"step {number(policy, rollout)}"
        message = f"Revision {state.candidate} has passed {words}. {describe_last(rollout)}"
        reason = "RolloutPromoting" if last else "StepPassed"
        return Transition(after, (event(reason, message, after.rollout),))
    allowed = policy.progress_deadline_seconds + (step.seconds if measuring else 0)
    if rollout.elapsed_seconds >= allowed:
        waited = _name_awaited(policy, rollout, awaited)
        message = f"it has waited {allowed} s for {waited}. {describe_last(rollout)}".rstrip()
        return roll_back(state, "RolloutDeadlineExceeded", message, now)
    if over and elapsed_before < step.seconds:
        message = f"Revision {state.candidate} stays in step {number(policy, rollout)}. {describe_last(rollout)}"
        return Transition(state, (event("RolloutHeld", message, rollout),))
    return Transition(state)


def _name_awaited(policy: Rollout, rollout: RolloutStatus, awaited: str) -> str:
    if rollout.phase == "Measuring" or has_failed(rollout):
        return "a passed verdict"
    if awaited and is_last_gate(policy, rollout):
        return f"what a promotion needs: {awaited.rstrip('.')}"
    return "its pods to become ready"


def _count(policy: Rollout, rollout: RolloutStatus) -> str:
    return f" ({rollout.failures} failed verdicts, {policy.analysis.failure_limit} tolerated)"
