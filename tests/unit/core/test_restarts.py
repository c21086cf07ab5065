"""The backoff between the attempts of a job."""

from datetime import UTC, datetime, timedelta

import pytest
from fairlead.core.conditions import Finding
from fairlead.core.settings import Settings
from fairlead.core.training_job.observed import ObservedJob
from fairlead.core.training_job.restarts import backoff_seconds, seconds_until_attempt
from fairlead.core.training_job.status import derive_restarting

from tests.support.resources import make_job

NOW = datetime(2026, 3, 1, 12, 0, 0, 900_000, tzinfo=UTC)


@pytest.mark.parametrize(("failures", "seconds"), [(1, 10), (2, 20), (3, 40), (6, 320), (7, 360), (8, 360), (101, 360)])
def test_the_backoff_doubles_up_to_six_minutes(failures: int, seconds: float) -> None:
    assert backoff_seconds(10.0, failures) == seconds


def test_no_backoff_can_be_configured() -> None:
    assert backoff_seconds(0.0, 5) == 0.0


def test_the_next_attempt_survives_the_operator_and_is_named_in_the_condition() -> None:
    job = make_job({"startTime": "2026-03-01T11:00:00Z", "workers": {"restarts": 1}})
    status = derive_restarting(job, ObservedJob(), Finding("WorkerExited", "no"), Settings(), NOW)
    restarting = next(condition for condition in status.conditions if condition.type == "Restarting")
    assert restarting.message == "Restart 2 of at most 3, at 2026-03-01T12:00:20Z: no"
    stored = make_job(status.model_dump(mode="json", by_alias=True, exclude_none=True))
    assert seconds_until_attempt(stored, NOW) == 19.1
    assert seconds_until_attempt(stored, NOW + timedelta(seconds=20)) == 0.0
    assert seconds_until_attempt(stored, NOW - timedelta(hours=1)) == 0.0  # no backoff is so long: a clock was wrong
