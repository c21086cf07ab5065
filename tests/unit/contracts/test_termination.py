"""Termination reports: complete JSON within the kubelet's limit, and parsing of any message."""

import json
from pathlib import Path
from typing import Any

import pytest
from fairlead_contracts.errors import ContractError
from fairlead_contracts.progress import ProgressReport
from fairlead_contracts.termination import (
    LIMIT,
    Failure,
    FailureReport,
    GraphFailure,
    GraphFailureReport,
    Malformed,
    PublishedModel,
    Report,
    StoppedReport,
    SuccessReport,
    encode_report,
    limit_for,
    read_report,
    write_report,
)

DIGEST = "sha256:" + "ab" * 32
FAILURE = FailureReport(failure=Failure(worker=1, rank=1, exit_code=3, reason="Exited", log_tail="ValueError: no"))
SUCCESS = SuccessReport(
    model=PublishedModel(uri="s3://m/v1", digest=DIGEST, version="v1"), progress=ProgressReport(step=9, eta_seconds=0)
)
REPORTS: list[tuple[Report, Any]] = [
    (FAILURE, {"failure": {"worker": 1, "rank": 1, "exitCode": 3, "signal": None, "reason": "Exited",
                           "logTail": "ValueError: no"}}),
    (SUCCESS, {"model": {"uri": "s3://m/v1", "digest": DIGEST, "version": "v1"},
               "progress": {"step": 9, "etaSeconds": 0, "metrics": {}}}),
    (SuccessReport(), {"model": None, "progress": None}),
    (StoppedReport(), {"stopped": True}),
    (GraphFailureReport(failure=GraphFailure(at="node a", message="node a: is no model")),
     {"failure": {"reason": "InvalidGraph", "at": "node a", "message": "node a: is no model"}}),
]  # fmt: skip
TAILS = {
    "empty": "",
    "short": "short",
    "ascii": "x" * 100_000,
    "escapes": "\x01" * 100_000,
    "umlauts": "ü" * 100_000,
    "quotes": '"\\' * 50_000,
    "surrogates": "\ud800" * 9000,
    "emoji": "😀" * 9000,
}


@pytest.mark.parametrize(("report", "written"), REPORTS)
def test_written_values_are_read_back(tmp_path: Path, report: Report, written: Any) -> None:
    write_report(tmp_path / "log", report)
    text = (tmp_path / "log").read_text()
    assert json.loads(text) == written
    assert read_report(text) == report
    assert read_report(json.dumps(written | {"schema": "fairlead.dev/termination-report/v1"})) == report


@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS)
def test_any_log_fits_and_its_end_is_kept(tail: str) -> None:
    failure = Failure(worker=1, rank=1, exit_code=3, reason="Exited", log_tail=tail)
    content = encode_report(FailureReport(failure=failure))
    kept = json.loads(content)["failure"]["logTail"]
    assert len(content) <= 4096
    assert len(content) > 3500 or len(kept) == len(tail)
    assert tail.replace("\ud800", "?").endswith(kept)


@pytest.mark.parametrize("limit", [limit_for(containers) for containers in (1, 3, 16, 32)])
@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS)
def test_the_cause_survives_in_a_pod_of_many_containers(tail: str, limit: int) -> None:
    job = encode_report(FailureReport(failure=Failure(worker=1, reason="Exited", log_tail=tail)), limit)
    graph = encode_report(
        GraphFailureReport(failure=GraphFailure(at=tail, message="node a: is no model " + tail)), limit
    )
    for content in (job, graph):
        assert len(content) <= limit
        assert isinstance(read_report(content.decode()), FailureReport | GraphFailureReport)
    if limit > 1024:
        assert json.loads(graph)["failure"]["message"].startswith("node a: is no model")


def test_the_kubelets_bytes_are_divided_with_room_for_a_sidecar() -> None:
    assert [limit_for(containers) for containers in (1, 2, 3, 11)] == [4096, 4096, 3072, 1024]


def test_a_success_report_that_is_too_long_drops_the_progress() -> None:
    metrics = {f"{index:02}" + "😀" * 60: 1e-300 for index in range(20)}
    report = SUCCESS.model_copy(update={"progress": ProgressReport(step=1, metrics=metrics)})
    assert json.loads(encode_report(report)) == {"model": SUCCESS.to_json()["model"], "progress": None}


@pytest.mark.parametrize("text", ["", "Killed", "step 40\nstep 41", "[" * 4000, "[]", "7", '{"level": "error"}', "{"])
def test_the_end_of_a_log_is_no_report(text: str) -> None:
    assert read_report(text) is None


MALFORMED = [
    ({"failure": None}, "failure: got None, expected an object"),
    ({"failure": {}}, "failure.worker: got nothing, expected a value"),
    ({"failure": {"worker": 1, "reason": "Bored"}}, "failure.reason: got 'Bored', expected one of Exited, Killed"),
    ({"failure": {"worker": "1", "reason": "Killed"}}, "failure.worker: got '1', expected an integer"),
    ({"failure": {"worker": -1, "reason": "Killed"}}, "failure.worker: got -1, expected at least 0"),
    ({"failure": {"worker": 1, "reason": "Killed", "signal": 10**30}}, "failure.signal: got 1000000"),
    ({"failure": {"worker": 1, "reason": "Killed", "logTail": 7}}, "failure.logTail: got 7, expected a string"),
    ({"failure": {"reason": "InvalidGraph", "at": [], "message": ""}}, "failure.at: got [], expected a string"),
    ({"model": {"uri": "s3://m"}}, "model.digest: got nothing, expected a value"),
    (
        {"model": {"uri": "s3://m", "digest": "md5:1", "version": "v"}},
        "model.digest: got 'md5:1', expected sha256: and 64",
    ),
    ({"model": {"uri": "a\nb", "digest": DIGEST, "version": "v"}}, "model.uri: got 'a\\nb', expected a URI"),
    ({"model": None, "progress": {"step": "9"}}, "progress.step: got '9', expected an integer"),
    (
        {"model": None, "schema": "fairlead.dev/termination-report/v2"},
        "schema: got 'fairlead.dev/termination-report/v2'",
    ),
    ({"stopped": "yes"}, "stopped: got 'yes', expected True"),
    ({"model": None, "x": "y" * LIMIT}, "termination report: got 4120 bytes, expected at most 4096"),
]


@pytest.mark.parametrize(("document", "problem"), MALFORMED, ids=[problem for _, problem in MALFORMED])
def test_an_invalid_report_is_returned_as_malformed(document: Any, problem: str) -> None:
    report = read_report(json.dumps(document))
    assert isinstance(report, Malformed)
    assert report.problem.startswith(problem)


def test_a_failure_survives_the_channel() -> None:
    failure = Failure(worker=1, signal=9, reason="Killed", log_tail="the last line")
    assert Failure.parse(json.loads(json.dumps(failure.to_json())), "failure") == failure


NO_FAILURES = [
    (None, "failure: got None, expected an object"),
    ([], "failure: got [], expected an object"),
    ({}, "failure.worker: got nothing, expected a value"),
    ({"worker": 1, "reason": "Bored"}, "failure.reason: got 'Bored'"),
    ({"worker": "1", "reason": "Killed"}, "failure.worker: got '1'"),
]


@pytest.mark.parametrize(("document", "message"), NO_FAILURES)
def test_an_invalid_failure_is_rejected(document: object, message: str) -> None:
    with pytest.raises(ContractError) as caught:
        Failure.parse(document, "failure")
    assert str(caught.value).startswith(message)
