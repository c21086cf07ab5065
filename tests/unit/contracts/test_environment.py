"""The environment of a job's pods: the launcher, agents and processes read what the operator wrote."""

import pytest
from fairlead_contracts.environment import (
    AgentEnvironment,
    GraphServerEnvironment,
    JobEnvironment,
    LauncherEnvironment,
    ProcessEnvironment,
    WorkerEnvironment,
)
from fairlead_contracts.errors import ContractError

JOB = JobEnvironment(
    job="digits", attempt=2, key_file="/key", termination_log="/log", workers=3, slots=2, backend="horovod"
)
WORKER = WorkerEnvironment(
    worker=2, launcher="digits-launcher.digits-pods.default.svc:7070", dataset_uri="s3://d/v1",
    dataset_digest="sha256:" + "ab" * 32, model_uri="s3://m/v1", model_version="v1",
)  # fmt: skip
NODE = {"POD_IP": "10.0.0.7"}


def test_a_worker_reads_what_the_operator_wrote() -> None:
    agent = AgentEnvironment.from_environment(JOB.to_environment() | WORKER.to_environment() | NODE | {"PATH": "/bin"})
    for written in (JOB, WORKER):
        assert {field: getattr(agent, field) for field in written.model_fields_set} == written.model_dump(
            by_alias=False, include=written.model_fields_set
        )
    assert (agent.address, agent.bind_address, agent.heartbeat_seconds) == ("10.0.0.7", "0.0.0.0", 1.0)


def test_the_launcher_reads_what_the_operator_wrote() -> None:
    launcher = LauncherEnvironment.from_environment(
        JOB.to_environment() | NODE | {"FAIRLEAD_BIND_ADDRESS": "127.0.0.2", "FAIRLEAD_SILENCE_SECONDS": "4"}
    )
    assert (launcher.workers, launcher.bind_address, launcher.silence_seconds) == (3, "127.0.0.2", 4.0)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1000", 1000),
        ("3Ki", 3072),
        ("50Gi", 50 << 30),
        ("2Ti", 2 << 40),
        ("4G", 4 * 10**9),
        ("1.5Gi", 3 << 29),
        ("0.0015k", 2),
    ],
)
def test_the_bound_of_a_cache_is_a_quantity(text: str, size: int) -> None:
    users = {"FAIRLEAD_DATASET_CACHE": "/cache", "FAIRLEAD_DATASET_CACHE_BYTES": text}
    agent = AgentEnvironment.from_environment(JOB.to_environment() | WORKER.to_environment() | NODE | users)
    assert (agent.dataset_cache, agent.dataset_cache_bytes) == ("/cache", size)


def test_a_process_reads_what_its_agent_wrote() -> None:
    given = ProcessEnvironment(model_folder="/model", progress_file=None)
    assert given.to_environment() == {"FAIRLEAD_MODEL_DIR": "/model"}
    assert ProcessEnvironment.from_environment(given.to_environment()) == given


def test_a_graph_server_reads_what_the_operator_wrote() -> None:
    given = GraphServerEnvironment(termination_log="/log")
    assert GraphServerEnvironment.from_environment(given.to_environment()) == given


def test_defaults_are_not_written() -> None:
    assert "FAIRLEAD_CONTRACT" not in JOB.to_environment()
    assert WorkerEnvironment(worker=0, launcher="h:1").to_environment() == {
        "FAIRLEAD_WORKER_INDEX": "0",
        "FAIRLEAD_LAUNCHER": "h:1",
    }


REJECTED = [
    ({"FAIRLEAD_JOB": ""}, "FAIRLEAD_JOB: got nothing, expected a value", "empty counts as absent"),
    ({"FAIRLEAD_JOB": "x" * 300}, "FAIRLEAD_JOB: got 'xxx", "longer than any name"),
    ({"FAIRLEAD_WORKERS": "many"}, "FAIRLEAD_WORKERS: got 'many', expected an integer of at least 1", "no number"),
    ({"FAIRLEAD_WORKERS": "0"}, "FAIRLEAD_WORKERS: got '0', expected an integer of at least 1", "too few"),
    ({"FAIRLEAD_WORKERS": "513"}, "FAIRLEAD_WORKERS: got '513', expected an integer of at least 1", "too many"),
    ({"FAIRLEAD_WORKERS": "9" * 5000}, "FAIRLEAD_WORKERS: got '999", "more digits than Python converts"),
    ({"FAIRLEAD_WORKERS": "٣"}, "FAIRLEAD_WORKERS: got '٣'", "digits of another script"),
    ({"FAIRLEAD_ATTEMPT": "-1"}, "FAIRLEAD_ATTEMPT: got '-1', expected an integer of at least 0", "negative"),
    ({"FAIRLEAD_WORKER_INDEX": "3"}, "FAIRLEAD_WORKER_INDEX: got 3, expected below FAIRLEAD_WORKERS, 3", "no such one"),
    ({"FAIRLEAD_LAUNCHER": "host"}, "FAIRLEAD_LAUNCHER: got 'host', expected host:port", "no port"),
    ({"FAIRLEAD_LAUNCHER": "host:99999"}, "FAIRLEAD_LAUNCHER: got 'host:99999', expected host:port", "no such port"),
    ({"FAIRLEAD_DATASET_DIGEST": "sha256:12"}, "FAIRLEAD_DATASET_DIGEST: got 'sha256:12'", "too short a digest"),
    ({"FAIRLEAD_SILENCE_SECONDS": "nan"}, "FAIRLEAD_SILENCE_SECONDS: got 'nan', expected a number", "no number"),
    ({"FAIRLEAD_SILENCE_SECONDS": "0"}, "FAIRLEAD_SILENCE_SECONDS: got '0', expected a number", "no time at all"),
    (
        {"FAIRLEAD_DATASET_CACHE": "/cache"},
        "FAIRLEAD_DATASET_CACHE_BYTES: got nothing, expected a number of bytes, such as 50Gi, because",
        "a cache without a bound",
    ),
    ({"FAIRLEAD_DATASET_CACHE_BYTES": "50GB"}, "FAIRLEAD_DATASET_CACHE_BYTES: got '50GB', expected a number", "a unit"),
    ({"FAIRLEAD_DATASET_CACHE_BYTES": "0"}, "FAIRLEAD_DATASET_CACHE_BYTES: got '0', expected a number", "no space"),
    ({"FAIRLEAD_CONTRACT": "2"}, "FAIRLEAD_CONTRACT: got '2', expected '1'", "another version of the contract"),
]


@pytest.mark.parametrize(("change", "message", "reason"), REJECTED, ids=[reason for *_, reason in REJECTED])
def test_a_variable_out_of_bounds_is_rejected_by_name(change: dict[str, str], message: str, reason: str) -> None:
    variables = JOB.to_environment() | WORKER.to_environment() | NODE | change
    with pytest.raises(ContractError) as caught:
        AgentEnvironment.from_environment(variables)
    assert str(caught.value).startswith(message)


def test_a_value_that_the_operator_must_not_write_is_rejected() -> None:
    with pytest.raises(ValueError, match="at least 1 and at most 512"):
        JobEnvironment(**(dict(JOB) | {"workers": 513}))
