"""The life of a rollout: which revision gets how much traffic next. Pure arithmetic; knows neither Kubernetes nor HTTP.

`advance` makes one transition, or none. The caller stores it and acts only on what is stored, so that an operator that
is killed anywhere goes on from there.

    Scaling     the candidate gets the pods for its next step; its share is still that of the step before
    Measuring   it has the step's share, and is judged every interval
    Promoting   it has passed the last step and gets all its pods
    Promoted    it is the stable revision
    RolledBack  it is gone

For example with steps of 10 and 50 %, and 4 replicas: 1 pod (Scaling), 10 % (Measuring), 2 pods while 10 % go on
(Scaling), 50 % (Measuring), 4 pods (Promoting), and the Service moves (Promoted). A candidate with any share is judged
in all of these phases, and gets no more of it while its last verdict is a failed one. Only verdicts promote, never
time: of the time between two checks no more than an interval counts, and nothing if the clock went back.
"""

import math
from dataclasses import dataclass, field, replace
from datetime import datetime

from fairlead.api.rollout import Rollout, RolloutStatus
from fairlead.core.model_deployment.measuring import check, seconds_to_check
from fairlead.core.model_deployment.transitions import (
    Revisions,
    Transition,
    change,
    describe,
    describe_last,
    enter,
    event,
    forget_failure,
    has_failed,
    is_paused,
    move_to,
    remove,
    roll_back,
    step_of,
)
from fairlead.core.model_deployment.verdicts import Evidence


@dataclass(frozen=True)
class Command:
    """What a user asks for."""

    word: str
    """pause, resume, promote, abort or retry."""
    revision: str
    """The candidate that it is about, or for retry the failed revision; a command about another one is dropped."""
    token: str
    """Distinguishes it from the same command given before."""


@dataclass(frozen=True)
class Facts:
    """What is known when a rollout is advanced."""

    desired: str | None
    """The revision of the spec; None if that is not known, such as while the spec is invalid."""
    replicas: int
    """The number of pods that the stable revision should have."""
    ready: int = 0
    """The ready pods of the candidate; without a stable revision, of the desired one."""
    address: str = ""
    """The address of the candidate's Service; empty if it has none yet."""
    crashed: str = ""
    """How the candidate's pods crash; empty if they do not."""
    awaited: str = ""
    """What a promotion waits for, beside verdicts and pods; empty if for nothing."""
    evidence: Evidence = field(default_factory=Evidence)
    """What the servers have counted in the current window."""
    command: Command | None = None


def advance(policy: Rollout, before: Revisions, facts: Facts, now: datetime) -> Transition:
    """Return the next state."""
    if before.stable is None:
        return _begin(before, facts, now)
    command = facts.command if facts.command and facts.command.token != before.rollout.command else None
    if before.candidate is None or facts.desired not in (None, before.candidate):
        return _follow_spec(policy, before, facts, command, now)
    if command:
        return _obey(policy, before, command, now)
    if not facts.replicas and (before.rollout.weight or before.rollout.mirror):
        return Transition(_empty(before, now))
    if corrected := _correct(policy, before, facts.address):
        return Transition(corrected)
    if facts.crashed:
        return roll_back(before, "CandidateFailing", facts.crashed, now)
    if seconds_to_check(policy, before.rollout, now) <= 0:
        return check(policy, before, facts.evidence, _is_held(policy, before, facts), facts.awaited, now)
    return Transition(before) if _is_held(policy, before, facts) else _grow(policy, before, facts, now)


def leave(before: Revisions, ready: bool, now: datetime) -> Transition:
    """Return the next state without spec.rollout: no candidate; no revision once the plain pods are ready."""
    if before.candidate:
        return remove(before, "spec.rollout was removed", now)
    return Transition(Revisions() if ready else before)


def candidate_replicas(policy: Rollout, rollout: RolloutStatus, replicas: int) -> int:
    """Return the number of pods that the candidate needs: its share of the stable revision's, copies included."""
    if rollout.phase == "Promoting" or not replicas:
        return replicas
    step = step_of(policy, rollout)
    copied = (100 - step.traffic) * (policy.analysis.mirror_percent or 0) / 100
    return max(1, math.ceil(replicas * (step.traffic + copied) / 100))


def _begin(before: Revisions, facts: Facts, now: datetime) -> Transition:
    """Make the first revision the stable one once its pods are ready; nothing else can serve."""
    if facts.desired is None or facts.ready < facts.replicas:
        return Transition(before)
    # servers of the same revision may have documents of a rollout that was removed, or whose status was lost, and
    # reject older ones; and a command about it is over
    number = max(1, int(now.timestamp()))
    token = facts.command.token if facts.command else None
    rollout = RolloutStatus(generation=number, window=number, moved_at=now, command=token)
    return Transition(Revisions(facts.desired, None, rollout))


def _follow_spec(
    policy: Rollout, before: Revisions, facts: Facts, command: Command | None, now: datetime
) -> Transition:
    """Start or replace the candidate when the spec has changed; remove it when the spec is the stable one's again."""
    desired, failed = facts.desired, before.rollout.failed_revision
    if command and not _may_retry(before, desired, command):
        # else a later candidate of the same revision would be given what was meant for this one
        return Transition(replace(before, rollout=change(before.rollout, command=command.token)))
    if desired in (None, before.stable, failed):
        if before.candidate:
            return remove(before, f"the spec is that of revision {desired} again", now)
        if desired and command:
            return _start(policy, before, desired, command.token, now)
        if failed and desired == before.stable:
            # the spec was taken back: there is nothing left to report
            return Transition(replace(before, rollout=forget_failure(before.rollout)))
        return Transition(before)
    assert desired is not None
    if not facts.replicas and not facts.awaited:
        after = move_to(before, desired, "spec.replicas is 0", now)
        message = f"Revision {desired} is the stable one now: spec.replicas is 0."
        return Transition(after, (event("Promoted", message, after.rollout),))
    return _start(policy, before, desired, None, now)


def _may_retry(before: Revisions, desired: str | None, command: Command) -> bool:
    """Return whether a command is to try the failed revision again, which may have to wait until the spec is known."""
    failed = before.rollout.failed_revision
    return not before.candidate and (command.word, command.revision) == ("retry", failed) and desired in (None, failed)


def _start(policy: Rollout, before: Revisions, desired: str, token: str | None, now: datetime) -> Transition:
    """Begin with a new candidate, whose share is 0 until its pods are ready."""
    known = before.rollout
    rollout = RolloutStatus(
        phase="Scaling",
        since=now,
        checked_at=now,
        generation=known.generation + 1,
        window=known.window + 1,
        moved_at=now if before.candidate else known.moved_at,
        command=token or known.command,
    )
    replaced = f", and replaces the candidate {before.candidate}" if before.candidate else ""
    message = f"Revision {desired} is the candidate beside {before.stable}{replaced}. It has {len(policy.steps)} steps."
    return Transition(Revisions(before.stable, desired, rollout), (event("RolloutStarted", message, rollout),))


def _obey(policy: Rollout, before: Revisions, command: Command, now: datetime) -> Transition:
    """Follow a command about the candidate, once."""
    obeyed = replace(before, rollout=change(before.rollout, command=command.token))
    if command.revision != before.candidate or command.word == "retry":
        return Transition(obeyed)
    if command.word == "abort":
        return roll_back(obeyed, "Aborted", "a user has aborted it", now)
    if command.word == "promote":
        after = replace(obeyed, rollout=enter(obeyed.rollout, "Promoting", now, passed=True, paused=False))
        message = f"A user promotes revision {before.candidate}. {describe_last(before.rollout)}"
        return Transition(after, (event("RolloutPromoting", message, after.rollout),))
    paused = command.word == "pause"
    after = replace(obeyed, rollout=change(obeyed.rollout, paused=paused))
    message = f"A user has {'paused' if paused else 'resumed'} it. {describe(policy, after)}"
    return Transition(after, (event("RolloutPaused" if paused else "RolloutResumed", message, after.rollout),))


def _correct(policy: Rollout, before: Revisions, address: str) -> Revisions | None:
    """Return the state with what a change of the policy takes from the candidate, and with its Service's new address.

    None if nothing has changed.
    """
    rollout = before.rollout
    weight = min(rollout.weight, step_of(policy, rollout).traffic)
    mirror = min(rollout.mirror, policy.analysis.mirror_percent or 0)
    known = (rollout.address and address) or rollout.address
    if (weight, mirror, known) == (rollout.weight, rollout.mirror, rollout.address):
        return None
    counted = {"generation": rollout.generation + 1, "window": rollout.window + 1}
    return replace(before, rollout=change(rollout, weight=weight, mirror=mirror, address=known, **counted))


def _empty(before: Revisions, now: datetime) -> Revisions:
    """Return the state of a candidate without pods, because spec.replicas is 0: it needs some before it gets requests.

    One that has failed in the meantime begins with the step that it passed before.
    """
    rollout, failed = before.rollout, has_failed(before.rollout) and before.rollout.phase != "Measuring"
    changes = {"weight": 0, "mirror": 0, "generation": rollout.generation + 1, "window": rollout.window + 1}
    if rollout.phase == "Promoting" and not failed:
        return replace(before, rollout=enter(rollout, "Promoting", now, passed=True, **changes))
    step = max(0, rollout.step - 1) if failed and rollout.phase == "Scaling" else rollout.step
    return replace(before, rollout=enter(rollout, "Scaling", now, step=step, **changes))


def _is_held(policy: Rollout, before: Revisions, facts: Facts) -> bool:
    """Return whether the candidate may go back, but not on: paused, without pods, or while the spec is not known."""
    return is_paused(policy, before.rollout) or not facts.replicas or facts.desired is None


def _grow(policy: Rollout, before: Revisions, facts: Facts, now: datetime) -> Transition:
    """Give the candidate its next share, or the Service, once it has the pods for it."""
    rollout = before.rollout
    if rollout.phase in (None, "Measuring") or has_failed(rollout):
        return Transition(before)
    if facts.ready < candidate_replicas(policy, rollout, facts.replicas):
        return Transition(before)
    assert before.candidate is not None
    if rollout.phase == "Promoting":
        if facts.awaited:
            return Transition(before)
        message = f"Revision {before.candidate} is the stable one now. {describe_last(rollout)}"
        after = move_to(before, before.candidate, describe_last(rollout), now)
        return Transition(after, (event("Promoted", message, rollout),))
    step = step_of(policy, rollout)
    if not facts.address or (facts.awaited and step.traffic == 100):
        return Transition(before)
    after = replace(
        before,
        rollout=enter(
            rollout,
            "Measuring",
            now,
            weight=step.traffic,
            mirror=policy.analysis.mirror_percent or 0,
            address=facts.address,
            window=rollout.window + 1,
            generation=rollout.generation + 1,
        ),
    )
    return Transition(after, (event("StepStarted", describe(policy, after), after.rollout),))
