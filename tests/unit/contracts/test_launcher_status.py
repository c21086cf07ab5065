"""The launcher's status and progress: the operator reads what the launcher wrote."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fairlead.api.training_job_status import ElasticStatus, Progress
from fairlead.core.training_job.observed import WorkerDelay
from fairlead.kube.reports import parse_report
from fairlead_contracts.errors import ContractError
from fairlead_contracts.launcher_status import (
    MAX_DELAY,
    MAX_DELAYS,
    MAX_NAMED,
    Delay,
    ElasticRun,
    LauncherStatus,
    ReadyWorkers,
    Registration,
)
from fairlead_contracts.progress import MAX_DAMAGED, ProgressReport
from fairlead_contracts.tracking import MAX_PROBLEM, Tracked

PROGRESS = ProgressReport(
    step=40, total_steps=200, epoch=1, samples_per_second=1e3, eta_seconds=3, metrics={"loss": 0.4}
)
STATUS = LauncherStatus(phase="Running", workers=ReadyWorkers(ready=2, desired=2, registered=2), progress=PROGRESS)
WRITTEN = {
    "phase": "Running",
    "workers": {"ready": 2, "desired": 2, "registered": 2},
    "waiting": None,
    "delays": [],
    "progress": {"step": 40, "totalSteps": 200, "epoch": 1, "samplesPerSecond": 1e3, "etaSeconds": 3,
                 "metrics": {"loss": 0.4}},
    "elastic": None,
    "tracking": None,
}  # fmt: skip
ELASTIC = {"epoch": 3, "workers": 2, "lostWorkers": 1, "lostSteps": 7, "reason": "WorkersLost"}


def parse(document: Any) -> LauncherStatus:
    return LauncherStatus.parse_json(document if isinstance(document, str) else json.dumps(document), "/status")


def test_written_values_are_read_back() -> None:
    assert STATUS.to_json() == WRITTEN
    assert parse(STATUS.to_json()) == STATUS
    assert parse(WRITTEN | {"schema": "fairlead.dev/launcher-status/v1", "newer": 1}) == STATUS


def test_without_progress_the_status_says_null_and_progress_omits_what_is_unknown() -> None:
    status = LauncherStatus(phase="Waiting", workers=ReadyWorkers(ready=0, desired=2))
    assert status.to_json()["progress"] is None
    assert parse(status.to_json()) == status
    assert ProgressReport(step=1).to_json() == {"step": 1, "metrics": {}}


def test_the_largest_status_is_within_the_bound_and_the_resource_accepts_it() -> None:
    metrics = {f"{index:02}" + "😀" * 62: -1.7976931348623157e308 for index in range(20)}
    delays = tuple(Delay(worker=511 - index, activity="😀" * MAX_DELAY) for index in range(MAX_DELAYS))
    tracking = Tracked(run_id="0" * 32, problem="😀" * MAX_PROBLEM)
    progress = PROGRESS.model_copy(update={"metrics": metrics, "damaged_steps": ((1 << 53) - 1,) * MAX_DAMAGED})
    largest = STATUS.model_copy(update={"progress": progress, "delays": delays, "tracking": tracking})
    assert parse(json.dumps(largest.to_json())) == largest
    assert Progress.model_validate(largest.to_json()["progress"]).step == 40


def test_a_wait_for_workers_says_for_whom_since_when_and_until_when() -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    waiting = Registration(workers=tuple(range(MAX_NAMED)), since=since, until=since + timedelta(hours=1))
    status = STATUS.model_copy(update={"phase": "Waiting", "waiting": waiting})
    assert parse(status.to_json()) == status
    assert status.to_json()["waiting"]["until"] == "2026-01-01T01:00:00Z"


def test_planners_see_what_delays_workers() -> None:
    said = [{"worker": 1, "activity": "fetching the dataset s3://d/v1 since 12:00:00Z: the store does not answer"}]
    status = parse(WRITTEN | {"delays": said})
    assert status.to_json()["delays"] == said
    assert parse_report(json.dumps(status.to_json()).encode()).delays == (WorkerDelay(1, said[0]["activity"]),)


def test_the_resource_shows_what_became_of_the_workers_of_an_elastic_job() -> None:
    status = parse(WRITTEN | {"elastic": ELASTIC})
    assert status.elastic == ElasticRun(epoch=3, workers=2, lost_workers=1, lost_steps=7, reason="WorkersLost")
    assert status.to_json()["elastic"] == ELASTIC
    assert parse_report(json.dumps(status.to_json()).encode()).elastic == ElasticStatus.model_validate(ELASTIC)


@pytest.mark.parametrize("change", [{"epoch": -1}, {"workers": 513}, {"lostSteps": 1 << 53}, {"reason": "x" * 1000}])
def test_what_a_launcher_says_of_an_elastic_job_is_bounded(change: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match=f"elastic.{next(iter(change))}"):
        parse(WRITTEN | {"elastic": ELASTIC | change})


def test_a_status_of_a_launcher_without_registrations_is_read() -> None:
    assert parse(WRITTEN | {"workers": {"ready": 1, "desired": 2}}).workers.registered == 0


REJECTED = [
    (
        WRITTEN | {"progress": {"step": 1, "metrics": {"lo\x7fss": 1.0}}},
        "progress.metrics.lo\x7fss.[key]: got 'lo\\x7fss', expected one line of text without control characters",
        "a name that no status could have",
    ),
    ("[" * 10_000, "/status: got invalid JSON", "too deep"),
    ("{", "/status: got invalid JSON", "cut off"),
    ("[]", "/status: got [], expected an object", "another type"),
    (" " * (1 << 15) + "{}", "/status: got 32770 bytes, expected at most 32768", "too long"),
    (WRITTEN | {"schema": "fairlead.dev/launcher-status/v2"}, "schema: got 'fairlead.dev/launcher-status/v2'", "newer"),
    (WRITTEN | {"phase": "Bored"}, "phase: got 'Bored', expected one of Waiting, Running", "no such phase"),
    (WRITTEN | {"workers": {"ready": "2", "desired": 2}}, "workers.ready: got '2', expected an integer", "coercion"),
    (WRITTEN | {"workers": {"ready": 2, "desired": 513}}, "workers.desired: got 513, expected at most 512", "too many"),
    (WRITTEN | {"delays": [{"worker": 0, "activity": "a\nb"}]}, "delays[0].activity: got", "two lines"),
    (WRITTEN | {"delays": [{"worker": 0, "activity": "x" * 241}]}, "delays[0].activity: got", "too long a line"),
    (WRITTEN | {"delays": [{"worker": i, "activity": ""} for i in range(4)]}, "delays: got", "too many delays"),
    (WRITTEN | {"progress": {"metrics": {}}}, "progress.step: got nothing, expected a value", "no step"),
    (WRITTEN | {"progress": {"step": 1 << 53}}, "progress.step: got 9007199254740992, expected at most", "too large"),
    (WRITTEN | {"progress": {"step": 1, "metrics": {"loss": float("nan")}}}, "progress.metrics.loss: got nan", "NaN"),
    (WRITTEN | {"progress": {"step": 1, "metrics": {"x" * 65: 1.0}}}, "progress.metrics.xxx", "too long a name"),
    (WRITTEN | {"progress": {"step": 1, "metrics": {str(i): 1.0 for i in range(21)}}}, "progress.metrics", "too many"),
]


@pytest.mark.parametrize(("document", "message", "reason"), REJECTED, ids=[reason for *_, reason in REJECTED])
def test_a_status_out_of_bounds_is_rejected_by_field(document: Any, message: str, reason: str) -> None:
    with pytest.raises(ContractError) as caught:
        parse(document)
    assert str(caught.value).startswith(message)


SALVAGED = [
    ({"step": 3, "totalSteps": "9", "epoch": 1.5, "extra": 1}, {"step": 3, "metrics": {}}),
    ({"step": 3, "metrics": {"good": 1, "bad": "x", "nan": float("nan")}}, {"step": 3, "metrics": {"good": 1.0}}),
    ({"step": 3, "metrics": {"huge": 10**400}, "samplesPerSecond": 10**400}, {"step": 3, "metrics": {}}),
    ({"step": 3, "metrics": {"x" * 99: 1}}, {"step": 3, "metrics": {"x" * 64: 1.0}}),
    (
        {"step": 3, "checkpointStep": 2, "checkpointSeconds": 1.5, "checkpointBytes": 2048},
        {"step": 3, "checkpointStep": 2, "checkpointSeconds": 1.5, "checkpointBytes": 2048, "metrics": {}},
    ),
    ({"step": 3, "checkpointSeconds": -1, "checkpointBytes": -1}, {"step": 3, "metrics": {}}),
    ({"step": 3, "checkpointSeconds": 1e9, "checkpointBytes": 1 << 60}, {"step": 3, "metrics": {}}),
    ({"step": 3, "checkpointSeconds": float("nan"), "checkpointBytes": 1.5}, {"step": 3, "metrics": {}}),
    ({"step": 3, "damagedSteps": [4, -1, "6", 8]}, {"step": 3, "damagedSteps": [4, 8], "metrics": {}}),
    ({"step": 3, "damagedSteps": list(range(9))}, {"step": 3, "damagedSteps": list(range(8)), "metrics": {}}),
    ({"step": 3, "damagedSteps": 4}, {"step": 3, "metrics": {}}),
    ({"step": 3, "metrics": [1]}, {"step": 3, "metrics": {}}),
    ({"step": 3, "metrics": {"lo\x7fss": 1, "\x1b[1m": 2, "a\nb": 3, "€": 4}}, {"step": 3, "metrics": {"€": 4.0}}),
]


@pytest.mark.parametrize(("document", "kept"), SALVAGED)
def test_valid_parts_of_a_progress_file_are_kept(document: Any, kept: Any) -> None:
    report = ProgressReport.salvage_json(json.dumps(document).encode())
    assert report is not None
    assert report.to_json() == kept


@pytest.mark.parametrize(
    "content", [b"", b"[" * 60_000, b'{"step": 1', b'{"step": "1"}', b"null", b'{"step":1}' + b" " * (1 << 16), b"\xff"]
)
def test_a_file_without_a_step_is_no_progress(content: bytes) -> None:
    assert ProgressReport.salvage_json(content) is None
