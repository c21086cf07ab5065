"""What an agent of an elastic torchrun run says to its launcher at the end."""

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
def worker(tmp_path: Path, launcher: Launcher, monkeypatch: pytest.MonkeyPatch) -> EpochWorker:
    """Return a worker whose process exits with 0 at once."""
    monkeypatch.setattr("fairlead_trainer.worker.LauncherClient", lambda *_: launcher)
    settings = AgentEnvironment.from_environment(
        {
            "FAIRLEAD_JOB": "job",
            "FAIRLEAD_ATTEMPT": "0",
            "FAIRLEAD_KEY_FILE": "key",
            "FAIRLEAD_TERMINATION_LOG": str(tmp_path / "report"),
            "FAIRLEAD_WORKERS": "1",
            "FAIRLEAD_MIN_WORKERS": "1",
            "FAIRLEAD_MAX_WORKERS": "2",
            "FAIRLEAD_SLOTS": "1",
            "FAIRLEAD_BACKEND": "torchrun",
            "FAIRLEAD_WORKER_INDEX": "0",
            "FAIRLEAD_LAUNCHER": "127.0.0.1:7070",
            "POD_IP": "127.0.0.1",
        }
    )
    return EpochWorker(settings, b"key", ["true"], tmp_path, BACKENDS["torchrun"])


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
