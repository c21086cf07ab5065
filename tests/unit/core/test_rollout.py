"""Transitions of a rollout; whole lives are in tests/simulation."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fairlead.api.rollout import Rollout, RolloutStatus
from fairlead.core import names
from fairlead.core.model_deployment.rollout import Command, Facts, advance, candidate_replicas
from fairlead.core.model_deployment.traffic import read_command
from fairlead.core.model_deployment.transitions import Revisions, Transition
from fairlead.core.model_deployment.verdicts import Evidence

from tests.support.resources import make_deployment

NOW = datetime(2026, 3, 1, tzinfo=UTC)
GOOD, BAD = Evidence(requests=1000), Evidence(requests=1000, errors=200)
STEPS = [{"traffic": 10, "seconds": 20}, {"traffic": 50, "seconds": 0}]
ANALYSIS = {"intervalSeconds": 10, "minRequests": 100, "failureLimit": 0, "maxErrorRate": 0.01}


def policy(**changes: Any) -> Rollout:
    return Rollout.model_validate({"steps": STEPS, "analysis": ANALYSIS} | changes)


def measuring(**changes: Any) -> Revisions:
    fields = {"phase": "Measuring", "weight": 10, "checked_at": NOW, "generation": 5, "window": 3} | changes
    return Revisions("stable", "new", RolloutStatus(**fields))


def step(before: Revisions, seconds: float = 10, of: Rollout | None = None, **facts: Any) -> Transition:
    known = Facts(**{"desired": "new", "replicas": 4, "ready": 4, "address": "10.1.1.1", **facts})
    return advance(of or policy(), before, known, NOW + timedelta(seconds=seconds))


def reasons(transition: Transition) -> list[str]:
    return [event.reason for event in transition.events]


@pytest.mark.parametrize(
    ("number", "phase", "mirror", "replicas", "pods"),
    [(0, "Scaling", None, 4, 1), (1, "Scaling", None, 4, 2), (1, "Promoting", None, 4, 4), (0, "Measuring", 100, 4, 4),
     (0, "Measuring", 50, 4, 3), (0, "Scaling", None, 1, 1), (1, "Measuring", None, 3, 2)],
)  # fmt: skip
def test_a_candidate_has_the_pods_for_its_share_and_copies(
    number: int, phase: Any, mirror: int | None, replicas: int, pods: int
) -> None:
    copied = policy(analysis=ANALYSIS | ({"mirrorPercent": mirror} if mirror else {}))
    assert candidate_replicas(copied, RolloutStatus(phase=phase, step=number), replicas) == pods


def test_a_step_ends_with_a_passed_verdict_after_its_seconds() -> None:
    first = step(measuring(), evidence=GOOD)
    assert (first.after.rollout.phase, first.after.rollout.passed, first.after.rollout.elapsed_seconds) == (
        "Measuring", True, 10,
    )  # fmt: skip
    second = advance(policy(), first.after, Facts("new", 4, 4, evidence=GOOD), NOW + timedelta(seconds=20))
    assert (second.after.rollout.phase, second.after.rollout.step, second.after.rollout.weight) == ("Scaling", 1, 10)
    (passed,) = second.events
    assert passed.reason == "StepPassed"
    assert "0 of 1000 failed" in passed.message


def test_each_conclusive_verdict_begins_a_window_and_others_go_on_counting() -> None:
    assert step(measuring(), evidence=GOOD).after.rollout.window == 4
    assert step(measuring(), evidence=Evidence(requests=50)).after.rollout.window == 3


def test_the_share_grows_only_with_the_pods_for_it() -> None:
    scaling = measuring(phase="Scaling", step=1, passed=True)
    assert step(scaling, seconds=1, ready=1).after == scaling
    grown = step(scaling, seconds=1, ready=2).after.rollout
    assert (grown.phase, grown.weight, grown.generation, grown.window) == ("Measuring", 50, 6, 4)


def test_a_share_needs_an_address_and_follows_it() -> None:
    scaling = measuring(phase="Scaling", weight=0)
    assert step(scaling, seconds=1, address="").after == scaling
    grown = step(scaling, seconds=1).after
    assert grown.rollout.address == "10.1.1.1"
    assert step(grown, seconds=1, address="").after == grown
    moved = step(grown, seconds=1, address="10.1.1.2").after.rollout
    assert (moved.address, moved.generation) == ("10.1.1.2", grown.rollout.generation + 1)


def test_failures_are_tolerated_up_to_the_limit() -> None:
    tolerant = policy(analysis=ANALYSIS | {"failureLimit": 1})
    first = step(measuring(), of=tolerant, evidence=BAD)
    assert reasons(first) == ["VerdictFailed"]
    assert (first.after.candidate, first.after.rollout.failures, first.after.rollout.passed) == ("new", 1, False)
    second = step(first.after, seconds=20, of=tolerant, evidence=BAD)
    assert reasons(second) == ["AnalysisFailed"]
    assert (second.after.candidate, second.after.rollout.failed_revision) == (None, "new")


@pytest.mark.parametrize("phase", ["Scaling", "Measuring", "Promoting"])
def test_a_candidate_with_a_share_is_judged_in_every_phase(phase: str) -> None:
    ended = step(measuring(phase=phase), evidence=BAD).after
    assert (ended.candidate, ended.rollout.weight, ended.rollout.generation > 5) == (None, 0, True)
    assert "200 of 1000 failed" in (ended.rollout.message or "")


@pytest.mark.parametrize("how", ["spec", "command"])
def test_a_paused_rollout_stays_but_a_bad_candidate_goes(how: str) -> None:
    held = policy(paused=True) if how == "spec" else policy()
    before = measuring(passed=True, elapsed_seconds=900.0, paused=how == "command")
    stays = step(before, of=held, evidence=GOOD).after.rollout
    assert (stays.phase, stays.elapsed_seconds) == ("Measuring", 900.0)
    assert step(before, of=held, evidence=BAD).after.candidate is None


@pytest.mark.parametrize(
    ("word", "phase", "candidate", "paused"),
    [("pause", "Measuring", "new", True), ("resume", "Measuring", "new", False),
     ("promote", "Promoting", "new", False), ("abort", "RolledBack", None, False)],
)  # fmt: skip
def test_a_command_is_obeyed_once(word: str, phase: str, candidate: str | None, paused: bool) -> None:
    command = Command(word, "new", "token")
    after = step(measuring(), seconds=1, command=command).after
    assert (after.rollout.phase, after.candidate, after.rollout.paused) == (phase, candidate, paused)
    assert after.rollout.command == "token"
    again = replace(after, candidate="new", rollout=after.rollout.model_copy(update={"paused": not paused}))
    assert step(again, seconds=1, ready=0, command=command).after.rollout.paused is not paused


def test_a_command_about_another_candidate_has_no_effect() -> None:
    after = step(measuring(), seconds=1, command=Command("abort", "other", "token")).after
    assert (after.candidate, after.rollout.command) == ("new", "token")


def test_a_failed_revision_is_tried_again_only_when_a_user_says_so() -> None:
    failed = Revisions("stable", None, RolloutStatus(phase="RolledBack", failed_revision="new", command="1"))
    assert step(failed).after == failed
    assert step(failed, command=Command("retry", "other", "2")).after.candidate is None
    assert step(failed, desired=None, command=Command("retry", "new", "2")).after == failed
    again = step(failed, command=Command("retry", "new", "2"))
    assert (again.after.candidate, again.after.rollout.command) == ("new", "2")
    assert step(failed, desired="stable").after.rollout.failed_revision is None


def test_an_unknown_spec_lets_a_rollout_go_back_but_starts_nothing() -> None:
    assert step(measuring(), desired=None, evidence=BAD).after.candidate is None
    alone = Revisions("stable", None, RolloutStatus())
    assert step(alone, desired=None).after == alone


def test_an_unknown_spec_lets_no_rollout_go_on() -> None:
    ready = measuring(phase="Promoting", passed=True)
    assert step(ready, seconds=1, desired=None).after == ready


def test_a_policy_that_allows_less_takes_the_share_away_at_once() -> None:
    less = policy(steps=[{"traffic": 5, "seconds": 0}])
    after = step(measuring(weight=50, mirror=10, step=1), seconds=0, of=less).after.rollout
    assert (after.weight, after.mirror, after.generation) == (5, 0, 6)


def test_a_rollout_without_pods_takes_over_at_once() -> None:
    after = step(Revisions("stable", None, RolloutStatus()), replicas=0, ready=0).after
    assert (after.stable, after.candidate) == ("new", None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pause 0123abcd t-1", Command("pause", "0123abcd", "t-1")),
        ("", None),
        ("delete 0123abcd t", None),
        ("pause 0123abcd", None),
        ("pause 0123abcd t\n", None),
        ("pause 0123abcd " + "t" * 65, None),
    ],
)
def test_a_command_is_parsed_or_ignored(text: str, expected: Command | None) -> None:
    assert read_command(make_deployment(metadata__annotations={names.ROLLOUT_COMMAND: text})) == expected


TOLERANT = policy(analysis=ANALYSIS | {"failureLimit": 3})


def test_a_candidate_that_fails_while_its_pods_start_gets_no_larger_share() -> None:
    scaling = measuring(passed=True, elapsed_seconds=20.0)
    scaling = step(scaling, of=TOLERANT, evidence=GOOD).after
    assert (scaling.rollout.phase, scaling.rollout.weight) == ("Scaling", 10)
    failed = step(scaling, seconds=20, of=TOLERANT, evidence=BAD, ready=1).after
    assert failed.rollout.failures == 1
    assert step(failed, seconds=21, of=TOLERANT).after == failed  # its pods are ready, it is not
    passed = step(failed, seconds=30, of=TOLERANT, evidence=GOOD).after
    assert step(passed, seconds=31, of=TOLERANT).after.rollout.weight == 50


def test_a_candidate_that_fails_at_the_end_is_not_promoted() -> None:
    last = measuring(step=1, weight=50, passed=True)
    promoting = step(last, of=TOLERANT, evidence=GOOD).after
    assert promoting.rollout.phase == "Promoting"
    failed = step(promoting, seconds=20, of=TOLERANT, evidence=BAD, ready=2).after
    assert step(failed, seconds=21, of=TOLERANT).after.candidate == "new"
    passed = step(failed, seconds=30, of=TOLERANT, evidence=GOOD, ready=2).after
    assert step(passed, seconds=31, of=TOLERANT).after.stable == "new"


def test_a_command_that_came_too_late_is_not_obeyed_at_the_next_try() -> None:
    late = Command("promote", "new", "late")
    failed = Revisions("stable", None, RolloutStatus(phase="RolledBack", failed_revision="new"))
    dropped = step(failed, command=late).after
    assert dropped.rollout.command == "late"
    taken_back = step(dropped, desired="stable", command=late).after
    again = step(taken_back, command=late).after
    assert (again.candidate, again.rollout.phase) == ("new", "Scaling")
    assert step(again, seconds=11, ready=0, command=late).after.rollout.phase == "Scaling"


def test_a_command_from_before_the_rollout_is_not_obeyed() -> None:
    old = Command("promote", "new", "old")
    first = step(Revisions(), desired="stable", command=old).after
    assert (first.stable, first.rollout.command) == ("stable", "old")


def test_the_documents_of_a_second_life_are_newer_than_those_of_the_first() -> None:
    # servers of the same revision refuse all that is older, and rollouts may be removed, or status lost and set again
    first = step(Revisions()).after.rollout.generation
    later = step(Revisions(), seconds=3600).after.rollout.generation
    assert later > first + 1000


@pytest.mark.parametrize("phase", ["Scaling", "Measuring", "Promoting"])
def test_a_rollout_scaled_to_zero_has_no_pods_and_goes_on_with_fresh_ones(phase: str) -> None:
    before = measuring(phase=phase, passed=True, step=1, weight=50)
    zero = step(before, seconds=1, replicas=0, ready=0).after
    assert candidate_replicas(policy(), zero.rollout, 0) == 0
    assert (zero.candidate, zero.rollout.weight, zero.rollout.generation) == ("new", 0, 6)
    assert step(zero, seconds=2, replicas=0, ready=0).after == zero
    starts = step(zero, seconds=3, ready=0).after
    assert (starts.candidate, starts.rollout.weight) == ("new", 0)  # none is ready: it gets no requests yet
    back = step(starts, seconds=4).after
    assert (back.candidate, back.stable) == (("new", "stable") if phase != "Promoting" else (None, "new"))
    assert back.rollout.weight == (50 if phase != "Promoting" else 0)


def test_a_candidate_waits_for_its_card_with_all_its_pods_and_is_promoted_when_it_has_one() -> None:
    promoting = measuring(phase="Promoting", step=1, passed=True, weight=50)
    waiting = step(promoting, seconds=1, awaited="no card")
    assert (waiting.after, waiting.events) == (promoting, ())
    assert step(promoting, seconds=1).after.stable == "new"


def test_a_candidate_whose_card_does_not_come_is_rolled_back_after_the_deadline() -> None:
    before, of = measuring(phase="Promoting", step=1, passed=True, weight=50), policy(progressDeadlineSeconds=60)
    for _ in range(6):
        before = step(before, of=of, seconds=10, evidence=GOOD, awaited="no card.").after
        before = replace(before, rollout=before.rollout.model_copy(update={"checked_at": NOW}))
    assert (before.stable, before.candidate, before.rollout.reason) == ("stable", None, "RolloutDeadlineExceeded")
    assert "waited 60 s for what a promotion needs: no card. Last verdict" in (before.rollout.message or "")


def test_a_user_does_not_promote_past_a_missing_card() -> None:
    promoted = step(measuring(), command=Command("promote", "new", "1"), awaited="no card")
    assert promoted.after.rollout.phase == "Promoting"
    assert step(promoted.after, seconds=5, awaited="no card").after.stable == "stable"


def test_without_replicas_a_revision_without_its_card_becomes_the_candidate_only() -> None:
    idle = Revisions("stable", None, RolloutStatus())
    assert step(idle, replicas=0, ready=0).after.stable == "new"
    started = step(idle, replicas=0, ready=0, awaited="no card").after
    assert (started.stable, started.candidate, started.rollout.weight) == ("stable", "new", 0)
    assert step(started, seconds=1, replicas=0, ready=0, awaited="no card").after.stable == "stable"


def test_a_step_of_all_requests_needs_the_card_as_a_promotion_does() -> None:
    of = policy(steps=[{"traffic": 50, "seconds": 0}, {"traffic": 100, "seconds": 20}])
    scaling = measuring(phase="Scaling", step=1, weight=50, passed=True)
    assert step(scaling, seconds=1, of=of, awaited="no card").after == scaling
    assert step(scaling, seconds=1, of=of).after.rollout.weight == 100
