"""Waiting until a deleted object and its pods are gone."""

import pytest
from fairlead.client import WaitTimeout
from fairlead.client.waiting import wait_until_gone


def test_the_wait_ends_when_nothing_remains() -> None:
    remaining = [True, True, False]
    wait_until_gone(lambda: remaining.pop(0), "TrainingJob digits", 30)
    assert remaining == []


def test_the_wait_is_bounded() -> None:
    with pytest.raises(WaitTimeout, match=r"TrainingJob digits: still exists 0\.1 s after it was deleted"):
        wait_until_gone(lambda: True, "TrainingJob digits", 0.1)
