"""The slots of a device, by whole lives: whatever is offered and whenever the device loses power, something answers."""

import itertools
import random
from dataclasses import replace

import pytest
from fairlead_edge.device.slots import (
    MAX_ATTEMPTS,
    MAX_INTERRUPTIONS,
    Offer,
    Release,
    Slots,
    begin,
    check_trial,
    confirm,
    find_candidate,
    interrupt,
    lose,
    reject,
)

A, B, C = (Release(f"sha256:{digit * 64}", version) for digit, version in (("a", 1), ("b", 2), ("c", 3)))


def offered(release: Release, sequence: int = 1, older: bool = False) -> Offer:
    return Offer(sequence, release, older)


def test_a_confirmed_candidate_is_good_and_the_one_before_it_stays() -> None:
    slots = confirm(begin(confirm(begin(Slots(), offered(A))), offered(B, 2)))
    assert slots == Slots(good=B, previous=A, handled=2, floor=2)
    assert slots.kept == {A.digest, B.digest}


def test_a_rejected_candidate_leaves_what_was_good_and_is_not_tried_again() -> None:
    good = confirm(begin(Slots(), offered(A)))
    slots = reject(begin(good, offered(B, 2)), "wrong answers")
    assert (slots.good, slots.candidate, slots.handled) == (A, None, 2)
    assert slots.rejected is not None and slots.rejected.reason == "wrong answers"
    assert find_candidate(slots, offered(B, 2)) is None
    assert find_candidate(slots, offered(B, 3)) == offered(B, 3)


def test_an_interrupted_trial_is_repeated_but_not_for_ever() -> None:
    slots, offer = Slots(good=A), offered(B)
    for _ in range(MAX_ATTEMPTS):
        assert find_candidate(slots, offer) == offer
        slots = begin(slots, offer)
        assert check_trial(slots, offer) is None
    assert check_trial(begin(slots, offer), offer) == "3 trials ended with the device's process"


def test_trials_that_are_ended_from_outside_are_repeated_more_often() -> None:
    slots, offer = Slots(good=A), offered(B)
    for _ in range(MAX_INTERRUPTIONS):
        slots = begin(slots, offer)
        assert check_trial(slots, offer) is None
        slots = interrupt(slots)
    slots = interrupt(begin(slots, offer))
    assert check_trial(begin(slots, offer), offer) == "10 trials were ended from outside"
    assert check_trial(begin(slots, offered(B, 2)), offered(B, 2)) is None  # a new offer begins anew


def test_a_newer_offer_replaces_a_candidate_whose_trial_was_interrupted() -> None:
    slots = begin(Slots(good=A), offered(B))
    assert find_candidate(slots, offered(C, 2)) == offered(C, 2)
    assert begin(slots, offered(C, 2)).attempts == 1


def test_an_older_release_is_rejected_unless_it_may_be_older() -> None:
    slots = confirm(begin(Slots(), offered(B)))
    again = begin(slots, offered(A, 2))
    assert check_trial(again, offered(A, 2)) == "version: got 1, expected at least 2, which this device has run"
    back = begin(slots, offered(A, 2, older=True))
    assert check_trial(back, offered(A, 2, older=True)) is None
    assert confirm(back) == Slots(good=A, previous=B, handled=2, floor=2)


def test_a_lost_release_is_replaced_by_the_one_before_it() -> None:
    slots = lose(Slots(good=B, previous=A, floor=2), "its bytes are not what they were")
    assert (slots.good, slots.previous, slots.floor) == (A, None, 2)


@pytest.mark.parametrize("seed", range(200))
def test_over_a_whole_life_only_confirmed_releases_are_good(seed: int) -> None:
    """Random offers, outcomes of trials, and power cuts, after which the state is what was written last."""
    chance, slots, confirmed, numbers = random.Random(seed), Slots(), set[str](), itertools.count(1)
    offer = None
    for _ in range(60):
        if chance.random() < 0.3:
            release = Release(f"sha256:{chance.randrange(6):064x}", chance.randrange(6))
            offer = Offer(next(numbers), release, chance.random() < 0.2)
        candidate = find_candidate(slots, offer)
        if candidate is None:
            continue
        before, slots = slots, begin(slots, candidate)
        assert (slots.good, slots.previous) == (before.good, before.previous)
        assert 1 <= slots.attempts <= MAX_ATTEMPTS + 1
        problem = check_trial(slots, candidate)
        if problem is None and chance.random() < 0.4:
            continue  # a power cut during the trial
        if problem is None and chance.random() < 0.6:
            slots = confirm(slots)
            confirmed.add(candidate.release.digest)
            assert slots.good == candidate.release
            assert slots.floor >= candidate.release.version
        else:
            slots = reject(slots, problem or "it answers otherwise")
            assert slots.good == before.good
        assert find_candidate(slots, offer) is None or offer != candidate
        if slots.good is not None:
            assert slots.good.digest in confirmed
            assert slots.good.digest in slots.kept
    assert replace(slots, attempts=0).handled <= next(numbers)
