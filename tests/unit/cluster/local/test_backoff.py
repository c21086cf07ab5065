"""Backoff delays."""

import pytest
from fairlead_cluster.local.node.backoff import count_failures, restart_delay, retry_delay


@pytest.mark.parametrize(("failures", "seconds"), [(1, 0), (2, 10), (3, 20), (4, 40), (6, 160), (7, 300), (1000, 300)])
def test_a_failing_container_waits_longer_each_time(failures: int, seconds: float) -> None:
    assert restart_delay(failures) == seconds


def test_a_long_run_resets_the_backoff() -> None:
    assert count_failures(5, ran_seconds=599) == 6
    assert count_failures(5, ran_seconds=600) == 1


def test_polling_starts_fast_and_slows_down() -> None:
    assert [retry_delay(attempt) for attempt in (0, 1, 5, 6, 10_000)] == [0.1, 0.2, 3.2, 5.0, 5.0]
