"""The transitions of a rollout, each of which returns the next state, and how they are described."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fairlead.api.rollout import Rollout, RolloutPhase, RolloutStatus, RolloutStep
from fairlead.core.plan import Event


@dataclass(frozen=True)
class Revisions:
    """The state: who serves, who may, and where the rollout is."""

    stable: str | None = None
    candidate: str | None = None
    rollout: RolloutStatus = field(default_factory=RolloutStatus)


@dataclass(frozen=True)
class Transition:
    """The next state; the same one if there is nothing to do."""

    after: Revisions
    events: tuple[Event, ...] = ()


def roll_back(before: Revisions, reason: str, message: str, now: datetime) -> Transition:
    """Take the candidate's traffic away and remember it as failed."""
    share = (
        f"with {before.rollout.weight} % of the requests" if before.rollout.weight else "without requests of clients"
    )
    text = f"Revision {before.candidate} was rolled back {share}: {message}"[:1024]
    rollout = _without_candidate(
        before.rollout, now, phase="RolledBack", failed_revision=before.candidate, reason=reason, message=text
    )
    return Transition(Revisions(before.stable, None, rollout), (event(reason, text, rollout, "Warning"),))


def remove(before: Revisions, why: str, now: datetime) -> Transition:
    """Take the candidate's traffic away although it has not failed."""
    message = f"Revision {before.candidate} is no candidate any more: {why}."
    rollout = _without_candidate(before.rollout, now, phase=None)
    return Transition(Revisions(before.stable, None, rollout), (event("CandidateRemoved", message, rollout),))


def move_to(before: Revisions, revision: str, message: str, now: datetime) -> Revisions:
    """Make a revision the stable one; the earlier one is deleted some seconds later."""
    rollout = _without_candidate(before.rollout, now, phase="Promoted", reason="Promoted", message=message[:1024])
    return Revisions(revision, None, change(rollout, failed_revision=None))


def forget_failure(rollout: RolloutStatus) -> RolloutStatus:
    """Return a status without how the last rollout ended."""
    return change(rollout, phase=None, failed_revision=None, reason=None, message=None, verdicts=(), failures=0)


def enter(rollout: RolloutStatus, phase: RolloutPhase, now: datetime, **changes: Any) -> RolloutStatus:
    """Return a status at the beginning of a phase."""
    return change(rollout, phase=phase, since=now, elapsed_seconds=0, checked_at=now, **{"passed": False} | changes)


def change(rollout: RolloutStatus, **changes: Any) -> RolloutStatus:
    """Return a status with some fields changed."""
    return rollout.model_copy(update=changes)


def describe(policy: Rollout, state: Revisions) -> str:
    """Return where a rollout is, in a sentence or two."""
    rollout, step = state.rollout, step_of(policy, state.rollout)
    share = (
        f"answers {rollout.weight} % of the requests" if rollout.weight or rollout.mirror else "gets no requests yet"
    )
    copies = f" and gets copies of {rollout.mirror} % of the others" if rollout.mirror else ""
    waits = {
        "Scaling": f"its pods for {step.traffic} % start",
        "Measuring": f"it is measured in step {number(policy, rollout)} of {len(policy.steps)}",
        "Promoting": "it gets all its pods",
    }.get(rollout.phase or "", "")
    last = f" Last verdict: {_quote(rollout)}." if rollout.verdicts else ""
    return f"Revision {state.candidate} {share}{copies}; {waits}. Revision {state.stable} answers the others.{last}"


def describe_last(rollout: RolloutStatus) -> str:
    """Return the last verdict as a sentence; empty if there is none."""
    return f"Last verdict: {_quote(rollout)}." if rollout.verdicts else ""


def step_of(policy: Rollout, rollout: RolloutStatus) -> RolloutStep:
    """Return the current step: the last one, if the policy has fewer steps than when the rollout began."""
    return policy.steps[number(policy, rollout) - 1]


def number(policy: Rollout, rollout: RolloutStatus) -> int:
    """Return the number of the current step, from 1."""
    return min(rollout.step + 1, len(policy.steps))


def is_paused(policy: Rollout, rollout: RolloutStatus) -> bool:
    """Return whether the spec or a command holds the rollout."""
    return policy.paused or rollout.paused


def is_last_gate(policy: Rollout, rollout: RolloutStatus) -> bool:
    """Return whether the candidate gets all of the requests next."""
    return rollout.phase == "Promoting" or (rollout.phase == "Scaling" and step_of(policy, rollout).traffic == 100)


def has_failed(rollout: RolloutStatus) -> bool:
    """Return whether a candidate with requests has failed since it passed a step, so that it gets no more of them."""
    return bool(rollout.weight or rollout.mirror) and not rollout.passed


def event(reason: str, message: str, rollout: RolloutStatus, type_: str = "Normal") -> Event:
    """Return the event of a transition."""
    # the generation tells a repetition from the same event that is sent again after a crash
    return Event(type_, reason, message.strip(), "Rollout", f"{rollout.generation}/{rollout.phase}")


def _without_candidate(rollout: RolloutStatus, now: datetime, **changes: Any) -> RolloutStatus:
    return change(
        rollout,
        step=0,
        weight=0,
        mirror=0,
        address=None,
        since=now,
        elapsed_seconds=0,
        checked_at=None,
        passed=False,
        generation=rollout.generation + 1,
        window=rollout.window + 1,
        moved_at=now,
        paused=False,
        **changes,
    )


def _quote(rollout: RolloutStatus) -> str:
    verdict = rollout.verdicts[-1]
    return f"{verdict.result.lower()}, {verdict.message}"
