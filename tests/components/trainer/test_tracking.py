"""The record of a job in MLflow: a real server, and servers that do not answer or answer nonsense."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fairlead_artifacts import Manifest
from fairlead_contracts.environment import LauncherEnvironment
from fairlead_trainer.mlflow import Metric, Mlflow, MlflowError, StoredRun
from fairlead_trainer.tracking import Tracker, _clean

from tests.support.ports import free_port

from .conftest import Job

NewJob = Callable[..., Job]
SECRET = "hunter-2-secret"
COMMAND = Path(os.environ.get("FAIRLEAD_HOME", Path.home() / ".fairlead"), "envs", "tracking", "bin", "mlflow")
TRAIN = """
import os, sys, time
from fairlead_trainer import Progress, report_parameters
# what the job says of itself stays, and names that MLflow does not allow are changed
report_parameters({{"learning@rate": 0.1 * {first}, "nesterov": True, "workers": 99}})
progress = Progress(total_steps=6, min_interval=0)
for step in range({first}, {last} + 1):
    progress.update(step, epoch=1, samples=8, loss=1 / step, **{{"accuracy@1": 0.5, "../up": 0.25}})
    time.sleep(1.2 if int(os.environ["FAIRLEAD_WORKER_INDEX"]) == 0 else 0)
    while step == {first} and "HOLD" in os.environ and not os.path.exists(os.environ["HOLD"]):
        time.sleep(0.1)
if "FAIRLEAD_MODEL_DIR" in os.environ:
    open(os.path.join(os.environ["FAIRLEAD_MODEL_DIR"], "weights"), "w").write("w")
sys.exit({code})
"""


@dataclass
class Server:
    """A tracking server on loopback."""

    url: str
    experiment: str

    def call(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call MLflow's API."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.url}/api/2.0/mlflow/{path}", data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def runs(self) -> list[Any]:
        """Return the runs of the experiment."""
        found = self.call(f"experiments/get-by-name?experiment_name={self.experiment}")["experiment"]["experiment_id"]
        runs: list[Any] = self.call("runs/search", {"experiment_ids": [found]}).get("runs", [])
        return runs

    def history(self, run: str | None, metric: str) -> dict[int, float]:
        """Return a metric by step; nothing if there is no run yet."""
        if run is None:
            return {}
        found = self.call(f"metrics/get-history?run_id={run}&metric_key={metric}").get("metrics", [])
        return {int(value["step"]): value["value"] for value in found}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a tracking server for all tests: it takes long to start."""
    assert COMMAND.exists(), f"{COMMAND} is missing: set up the environment `tracking`"
    folder, place = tmp_path_factory.mktemp("mlflow"), f"http://127.0.0.1:{(port := free_port())}"
    command = [
        str(COMMAND), "server", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
        "--default-artifact-root", str(folder), "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    environment = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PATH": f"{COMMAND.parent}:/usr/bin:/bin", "HOME": str(folder),
    }  # fmt: skip
    with (folder / "mlflow.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        end = time.monotonic() + 300
        while not _answers(f"{place}/health"):
            assert process.poll() is None, (folder / "mlflow.log").read_text()
            assert time.monotonic() < end, (folder / "mlflow.log").read_text()
            time.sleep(0.2)
        yield place
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its workers are in its session
        process.wait()


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
        return True
    return False


@pytest.fixture
def server(url: str) -> Server:
    """Return the server, with an experiment of the test's own."""
    return Server(url, f"digits-{uuid.uuid4()}")


@contextlib.contextmanager
def relay(port: int, url: str) -> Iterator[None]:
    """Forward a port to a server that others know elsewhere."""
    host, _, there = url.removeprefix("http://").partition(":")

    def copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(65536):
                target.sendall(content)
            target.shutdown(socket.SHUT_WR)

    def accept(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection((host, int(there)))
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=copy, args=pair, daemon=True).start()

    with socket.create_server(("127.0.0.1", port)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield
        listener.shutdown(socket.SHUT_RDWR)


def tracked(url: str, experiment: str = "digits", uid: str | None = None) -> dict[str, str]:
    return {
        "FAIRLEAD_MLFLOW_URI": url,
        "FAIRLEAD_MLFLOW_EXPERIMENT": experiment,
        "FAIRLEAD_NAMESPACE": "team",
        "FAIRLEAD_JOB_UID": uid or str(uuid.uuid4()),
    }


def train(first: int = 1, last: int = 6, code: int = 0) -> tuple[str, str, str]:
    return sys.executable, "-c", TRAIN.format(first=first, last=last, code=code)


def values(entries: list[dict[str, str]]) -> dict[str, str]:
    return {entry["key"]: entry["value"] for entry in entries}


def test_a_job_is_recorded_with_parameters_progress_and_the_model(
    new_job: NewJob, server: Server, dataset: tuple[str, Manifest], tmp_path: Path
) -> None:
    uid = str(uuid.uuid4())
    model = (tmp_path / "models" / "v1").as_uri()
    environment = tracked(server.url, server.experiment, uid) | {
        "FAIRLEAD_DATASET_URI": dataset[0], "FAIRLEAD_DATASET_DIGEST": dataset[1].digest,
        "FAIRLEAD_MODEL_URI": model, "FAIRLEAD_MODEL_VERSION": "v1", "HOLD": str(tmp_path / "hold"),
    }  # fmt: skip
    job = new_job(environment=environment).start(*train())
    # the run can exist before the script has said anything
    job.until(lambda: 1 in server.history((job.status().get("tracking") or {}).get("runId"), "loss"), 120)
    (tmp_path / "hold").touch()
    assert job.wait(90) == [0, 0, 0], job.logs()
    message = job.message("launcher")
    (run,) = server.runs()
    assert message["tracking"] == {"runId": run["info"]["run_id"]}
    assert (run["info"]["status"], run["info"]["run_name"]) == ("FINISHED", job.name)
    assert values(run["data"]["params"]) == {
        "workers": "2", "slots": "1", "launcher": "horovod",
        "dataset.uri": dataset[0], "dataset.digest": dataset[1].digest,
        "learning_rate": "0.1", "nesterov": "True",
    }  # fmt: skip
    tags = values(run["data"]["tags"])
    assert {key: value for key, value in tags.items() if key.startswith("fairlead.")} == {
        "fairlead.uid": uid, "fairlead.namespace": "team", "fairlead.job": job.name, "fairlead.attempt": "0",
        "fairlead.model.uri": model, "fairlead.model.digest": message["model"]["digest"],
    }  # fmt: skip
    history = server.history(run["info"]["run_id"], "loss")
    assert (history[1], history[6]) == pytest.approx((1, 1 / 6)), "the first step is held, the last one never missed"
    assert server.history(run["info"]["run_id"], "accuracy_1"), "a name that MLflow does not allow"
    assert server.history(run["info"]["run_id"], "_up"), "a name that would be another folder"
    assert server.history(run["info"]["run_id"], "samples_per_second")


def test_all_attempts_of_a_job_are_one_run(new_job: NewJob, server: Server) -> None:
    environment = tracked(server.url, server.experiment)
    first = new_job(workers=1, environment=environment).start(*train(1, 3, code=3))
    assert first.wait(90)[0] == 1, first.logs()
    assert [run["info"]["status"] for run in server.runs()] == ["FAILED"]
    changed = environment | {"FAIRLEAD_ATTEMPT": "1"}
    again = new_job(environment=changed).start(*train(4, 6))
    assert again.wait(90) == [0, 0, 0], again.logs()
    (run,) = server.runs()
    assert run["info"]["status"] == "FINISHED"
    assert values(run["data"]["tags"])["fairlead.attempt"] == "1"
    params = values(run["data"]["params"])
    assert (params["workers"], params["learning_rate"]) == ("1", "0.1"), "parameters never change in MLflow"
    assert {3, 6} <= set(server.history(run["info"]["run_id"], "loss")), "the last steps of both"


def test_what_could_not_be_sent_during_an_outage_is_sent_later(new_job: NewJob, server: Server, tmp_path: Path) -> None:
    port = free_port()
    environment = tracked(f"http://127.0.0.1:{port}", server.experiment) | {"HOLD": str(tmp_path / "hold")}
    job = new_job(environment=environment).start(*train())

    def record() -> dict[str, str]:
        return job.status().get("tracking") or {}

    job.until(lambda: (job.status().get("progress") or {}).get("step") == 1, 120)
    job.until(lambda: "does not answer" in record().get("problem", ""), 120)
    with relay(port, server.url):
        job.until(lambda: "runId" in record() and "problem" not in record(), 120)
        (tmp_path / "hold").touch()
        assert job.wait(90) == [0, 0, 0], job.logs()
    (run,) = server.runs()
    assert {1, 6} <= set(server.history(run["info"]["run_id"], "loss"))
    assert job.message("launcher")["tracking"] == {"runId": run["info"]["run_id"]}


class Answers(BaseHTTPRequestHandler):
    """Answers every request as the server says, and notes its headers."""

    server: "Odd"

    def do_POST(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        code, content = self.server.answer
        if code == 0:
            self.server.over.wait(120)
            return
        self.send_response(code)
        if code == 302:
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(content)

    do_GET = do_POST

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


class Odd(ThreadingHTTPServer):
    """A server that answers in one odd way; with code 0 it never answers."""

    daemon_threads = True

    def __init__(self, code: int, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.answer = (code, content)
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.over = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Return its URL."""
        return f"http://127.0.0.1:{self.server_port}"


@contextlib.contextmanager
def odd(code: int, content: bytes = b"{}") -> Iterator[Odd]:
    server = Odd(code, content)
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()


ODD = {
    "an error that repeats the credentials": (401, json.dumps({"error_code": SECRET, "message": SECRET}).encode()),
    "an error without a body": (500, b""),
    "no JSON": (200, b"<html>"),
    "no object": (200, b"[]"),
    "deeply nested": (200, b"[" * 200_000),
    "endless": (200, b'"' + b"x" * (4 << 20)),
    "another place": (302, b""),
    "a run that is a path": (200, b'{"experiment": {"experiment_id": "1"}, "runs": [{"info": {"run_id": "../x"}}]}'),
    "a run that ends in a newline": (
        200,
        b'{"experiment": {"experiment_id": "1"}, "runs": [{"info": {"run_id": "%s\\n"}}]}' % (b"0" * 32),
    ),
    "no run": (200, b'{"experiment": {"experiment_id": "1"}, "runs": [7]}'),
    "no experiment": (200, b'{"experiment": 7}'),
    "runs that are none": (200, b'{"experiment": {"experiment_id": "1"}, "runs": 7}'),
}


@pytest.mark.parametrize("answer", ODD)
def test_an_odd_answer_is_a_problem_and_no_error(answer: str) -> None:
    with odd(*ODD[answer]) as server:
        settings = LauncherEnvironment.from_environment(LAUNCHER | tracked(server.url))
        tracker = Tracker(Mlflow(server.url, {"MLFLOW_TRACKING_TOKEN": SECRET}), settings)
        tracker._try(lambda: tracker._begin() and None)
        assert tracker.tracked.run_id is None
        assert tracker.tracked.problem
        assert SECRET not in tracker.tracked.problem
        assert {path for path, _ in server.seen} & {"/elsewhere"} == set()


LAUNCHER = {
    "FAIRLEAD_JOB": "digits", "FAIRLEAD_ATTEMPT": "0", "FAIRLEAD_KEY_FILE": "/k", "FAIRLEAD_TERMINATION_LOG": "/t",
    "FAIRLEAD_WORKERS": "2", "FAIRLEAD_SLOTS": "1", "FAIRLEAD_BACKEND": "horovod", "POD_IP": "10.0.0.1",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "key"),
    [("loss", "loss"), ("eval/loss", "eval/loss"), ("a@b", "a_b"), ("é", "_"), ("/x", "_x"), ("../x", "_x"), (".", "_"),
     ("a//b", "a__b"), ("a/../b", "a_.._b"), ("a/", "a_"), ("", "_")],
)  # fmt: skip
def test_metrics_get_names_that_mlflow_accepts(name: str, key: str) -> None:
    assert _clean(name) == key


def test_values_that_the_server_never_accepts_do_not_hold_up_the_others() -> None:
    with odd(400, b'{"error_code": "INVALID_PARAMETER_VALUE"}') as server:
        tracker = Tracker(Mlflow(server.url, {}), LauncherEnvironment.from_environment(LAUNCHER | tracked(server.url)))
        tracker._run, tracker._own_recorded = StoredRun("ab" * 16, frozenset()), True
        tracker._points.append(Metric("loss", 1.0, 0, 1))
        tracker._try(tracker._send)
        assert not tracker._points
        server.answer = (500, b"")
        tracker._points.append(Metric("loss", 1.0, 0, 2))
        tracker._try(tracker._send)
        assert [metric.step for metric in tracker._points] == [2], "it is sent again later"


def test_a_server_that_never_answers_costs_no_job(new_job: NewJob) -> None:
    with odd(0) as server:
        job = new_job(environment=tracked(server.url)).start(*train(1, 2))
        assert job.wait(90) == [0, 0, 0], job.logs()
    assert "the record in MLflow is not complete" in job.log("launcher")
    assert "runId" not in job.message("launcher")["tracking"]


@pytest.mark.parametrize(
    ("variables", "sent"),
    [
        ({"MLFLOW_TRACKING_TOKEN": SECRET}, f"Bearer {SECRET}"),
        ({"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "p"}, "Basic bWU6cA=="),
        ({"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "€"}, "Basic bWU64oKs"),
        ({}, None),
    ],
)
def test_credentials_are_sent_and_never_shown(new_job: NewJob, variables: dict[str, str], sent: str | None) -> None:
    with odd(403, json.dumps({"error_code": "PERMISSION_DENIED", "message": SECRET}).encode()) as server:
        with pytest.raises(MlflowError, match="the server returned 403 PERMISSION_DENIED") as error:
            Mlflow(server.url, variables).find_experiment("digits")
        assert SECRET not in str(error.value)
        assert server.seen[0][1].get("Authorization") == sent
        if sent == f"Bearer {SECRET}":
            job = new_job(environment=tracked(server.url) | variables).start(*train(1, 2))
            job.until(lambda: "403" in ((job.status().get("tracking") or {}).get("problem") or ""), 120)
            assert job.wait(90) == [0, 0, 0], job.logs()
            assert SECRET not in job.logs() + json.dumps(job.message("launcher"))
