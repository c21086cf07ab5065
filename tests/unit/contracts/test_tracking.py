"""The record of a job in MLflow: what a launcher says of it is bounded."""

import json
from typing import Any

import pytest
from fairlead.kube.reports import parse_report
from fairlead_contracts.errors import ContractError
from fairlead_contracts.launcher_status import LauncherStatus
from fairlead_contracts.termination import Malformed, SuccessReport, encode_report, read_report
from fairlead_contracts.tracking import Tracked

RUN = "0123456789abcdef" * 2
STATUS = {"phase": "Running", "workers": {"ready": 2, "desired": 2, "registered": 2}}


def test_the_operator_reads_what_the_launcher_wrote() -> None:
    written = LauncherStatus.parse_json(json.dumps(STATUS | {"tracking": {"runId": RUN}}), "/status")
    read = parse_report(json.dumps(written.to_json()).encode()).tracking
    assert read is not None
    assert (read.run_id, read.problem) == (RUN, None)
    report = SuccessReport(tracking=Tracked(run_id=RUN))
    assert read_report(encode_report(report).decode()) == report


def test_a_report_without_a_record_is_as_it_was() -> None:
    assert json.loads(encode_report(SuccessReport())) == {"model": None, "progress": None}


@pytest.mark.parametrize(
    "tracked",
    [{"runId": RUN.upper()}, {"runId": "../../admin"}, {"runId": RUN + "0"}, {"problem": "x" * 301},
     {"problem": "two\nlines"}, {"problem": "\x1b[31m"}, {"runId": 7}, "x"],
)  # fmt: skip
def test_what_is_no_run_is_rejected(tracked: Any) -> None:
    with pytest.raises(ContractError):
        LauncherStatus.parse_json(json.dumps(STATUS | {"tracking": tracked}), "/status")
    assert isinstance(read_report(json.dumps({"model": None, "tracking": tracked})), Malformed)
