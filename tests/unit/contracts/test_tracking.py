"""The record of a job in MLflow: what a launcher says of it is bounded."""

import json
from typing import Any

import pytest
from fairlead.core.settings import Settings
from fairlead.core.training_job.build import build_launcher, build_worker
from fairlead.kube.reports import parse_report
from fairlead_contracts.environment import LauncherEnvironment
from fairlead_contracts.errors import ContractError
from fairlead_contracts.launcher_status import LauncherStatus
from fairlead_contracts.termination import Malformed, SuccessReport, encode_report, read_report
from fairlead_contracts.tracking import Tracked

from tests.support.resources import make_job

RUN = "0123456789abcdef" * 2
STATUS = {"phase": "Running", "workers": {"ready": 2, "desired": 2, "registered": 2}}


def test_the_operator_reads_what_the_launcher_wrote() -> None:
    written = LauncherStatus.parse_json(json.dumps(STATUS | {"tracking": {"runId": RUN}}), "/status")
    read = parse_report(json.dumps(written.to_json()).encode()).tracking
    assert read is not None
    assert (read.run_id, read.problem) == (RUN, None)
    report = SuccessReport(tracking=Tracked(run_id=RUN))
    assert read_report(encode_report(report).decode()) == report


def test_the_launcher_reads_what_the_operator_wrote() -> None:
    tracking = {"mlflow": {"uri": "https://mlflow.tools:5000/base", "experiment": "digits and letters"}}
    job = make_job(spec__tracking=tracking, spec__dataset={"uri": "s3://datasets/digits/v1"})
    pods = [build_launcher(job, 0, Settings()), build_worker(job, 0, 0, Settings())]
    launcher, worker = (
        {variable["name"]: variable.get("value", "10.0.0.7") for variable in pod["spec"]["containers"][0]["env"]}
        for pod in pods
    )
    read = LauncherEnvironment.from_environment(launcher)
    assert (read.mlflow_uri, read.mlflow_experiment) == tuple(tracking["mlflow"].values())
    assert (read.namespace, read.uid, read.dataset_uri) == ("default", job.metadata.uid, "s3://datasets/digits/v1")
    assert not any("MLFLOW" in name for name in worker)


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
