"""What an agent of an elastic torchrun run says to its launcher at the end."""

import socket
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fairlead_contracts.environment import AgentEnvironment
from fairlead_contracts.termination import STOPPED_CODE
from fairlead_trainer.backends import BACKENDS
from fairlead_trainer.client import RequestRejected
from fairlead_trainer.epochs import EpochWorker
from fairlead_trainer.outcome import Outcome


class Signal(BaseException):
    """The agent received a stop signal."""


class Launcher:
    """A launcher whose only worker holds rank 0, and that says so to whatever it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.ends: list[dict[str, Any]] = []
        self.troubles: list[BaseException] = []
        """What happens to the next reports of an end."""

    def post(self, path: str, message: dict[str, Any], **_: object) -> dict[str, Any]:
        self.asked.append(path)
        if path == "/v1/finish":
            self.ends.append(message)
            if self.troubles:
                raise self.troubles.pop()
            return {"state": "run", "cause": False}
        if path == "/v1/heartbeat":
            return {"state": "run", "first": True, "othersFinished": True, "allEnded": True}
        return {"state": "run", "epoch": 0, "slots": [{"rank": 0, "environment": {}}]}


@pytest.fixture
def launcher() -> Launcher:
    return Launcher()


@pytest.fixture
def build(tmp_path: Path, launcher: Launcher, monkeypatch: pytest.MonkeyPatch) -> Callable[..., EpochWorker]:
    """Return a function that builds a worker whose process exits with 0 at once."""
    monkeypatch.setattr("fairlead_trainer.worker.LauncherClient", lambda *_: launcher)
    return partial(build_worker, tmp_path)


@pytest.fixture
def worker(build: Callable[..., EpochWorker]) -> EpochWorker:
    return build()


def build_worker(folder: Path, **variables: str) -> EpochWorker:
    settings = AgentEnvironment.from_environment(
        {
            "FAIRLEAD_JOB": "job",
            "FAIRLEAD_ATTEMPT": "0",
            "FAIRLEAD_KEY_FILE": "key",
            "FAIRLEAD_TERMINATION_LOG": str(folder / "report"),
            "FAIRLEAD_WORKERS": "1",
            "FAIRLEAD_MIN_WORKERS": "1",
            "FAIRLEAD_MAX_WORKERS": "2",
            "FAIRLEAD_SLOTS": "1",
            "FAIRLEAD_BACKEND": "torchrun",
            "FAIRLEAD_WORKER_INDEX": "0",
            "FAIRLEAD_LAUNCHER": "127.0.0.1:7070",
            "POD_IP": "127.0.0.1",
            **variables,
        }
    )
    return EpochWorker(settings, b"key", ["true"], folder, BACKENDS["torchrun"])


def test_a_worker_that_is_stopped_while_it_reports_its_success_reports_it_again(
    launcher: Launcher, worker: EpochWorker
) -> None:
    launcher.troubles = [Signal()]
    with pytest.raises(Signal):
        worker.run()
    assert worker.report_stop() == Outcome(0)
    assert [end["exitCodes"] for end in launcher.ends] == [[0], [0]]
    assert "/v1/leave" not in launcher.asked


def test_a_worker_whose_success_is_not_heard_does_not_succeed(launcher: Launcher, worker: EpochWorker) -> None:
    launcher.troubles = [RequestRejected("worker 0 is registered by no agent")]
    assert worker.run() == Outcome(STOPPED_CODE)


def test_a_store_that_stays_away_is_told_from_a_dataset_that_is_wrong(
    launcher: Launcher, build: Callable[..., EpochWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead_trainer.data.FETCH_SECONDS", 0.1)
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        build(FAIRLEAD_DATASET_URI="s3://data/v1").run()
    (end,) = launcher.ends
    assert (end["failure"]["reason"], end["failure"]["exitCode"]) == ("StoreUnavailable", 1)
    assert "Connection refused" in end["failure"]["logTail"]
