"""Failed jobs: the report has the worker, the exit code and the last log lines; no process keeps running."""

import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path

from fairlead_artifacts import Manifest

from .conftest import Job

NewJob = Callable[..., Job]
WAIT = "sleep 60"


def by_worker(one: str, others: str = WAIT) -> list[str]:
    """Build a command that runs one program on worker 1 and another on all other workers."""
    return ["sh", "-c", f'if [ "$FAIRLEAD_WORKER_INDEX" = 1 ]; then {one}; else {others}; fi']


def test_a_script_that_exits_3_fails_the_job_with_its_last_log_lines(new_job: NewJob) -> None:
    job = new_job().start(*by_worker("echo loading; echo 'no such layer: größe' >&2; exit 3"))
    assert job.wait() == [1, 143, 3], job.logs()
    failure = {
        "worker": 1,
        "rank": 1,
        "exitCode": 3,
        "signal": None,
        "reason": "Exited",
        "logTail": "loading\nno such layer: größe",
    }
    assert job.message("launcher") == job.message("worker-1") == {"failure": failure}
    assert job.message("worker-0") == {"stopped": True}
    assert "[1] loading" in job.log("worker-1")


def test_a_killed_process_is_distinguished_from_one_that_exits(new_job: NewJob) -> None:
    job = new_job().start(*by_worker("echo $$; kill -KILL $$"))
    assert job.wait() == [1, 143, 137], job.logs()
    failure = job.message("launcher")["failure"]
    assert (failure["worker"], failure["reason"], failure["exitCode"], failure["signal"]) == (1, "Killed", 137, 9)


def test_a_command_that_cannot_be_found_is_named(new_job: NewJob) -> None:
    job = new_job().start("/no/such/python", "train.py")
    codes = job.wait()
    assert codes[0] == 1
    assert sorted(codes[1:]) in ([127, 143], [127, 127]), job.logs()
    failure = job.message("launcher")["failure"]
    assert (failure["reason"], failure["exitCode"]) == ("NotStarted", 127)
    assert failure["logTail"] == "cannot start '/no/such/python': No such file or directory"


def test_a_long_log_is_cut_to_its_end_and_the_message_stays_json(new_job: NewJob) -> None:
    line = "ü" * 500
    job = new_job(workers=1).start("sh", "-c", f'for i in $(seq 60); do echo "{line}"; done; echo "\001last"; exit 7')
    assert job.wait() == [1, 7], job.logs()
    tail = job.message("launcher")["failure"]["logTail"]
    assert tail.endswith("ü\n\x01last")
    assert 2000 < len(tail.encode()) < 4096


def test_a_killed_agent_is_a_lost_worker_and_its_process_dies_with_it(new_job: NewJob) -> None:
    job = new_job().start("sleep", "60")
    job.until(lambda: job.status()["phase"] == "Running")
    job.until(lambda: len(job.processes()) == 5)
    job.agents[1].send_signal(signal.SIGKILL)
    assert job.wait() == [1, 143, -9], job.logs()
    failure = job.message("launcher")["failure"]
    assert (failure["worker"], failure["reason"]) == (1, "LostWorker")
    assert "has sent no heartbeat for" in failure["logTail"]


def test_an_agent_that_is_stopped_reports_it_at_once(new_job: NewJob) -> None:
    job = new_job(environment={"FAIRLEAD_SILENCE_SECONDS": "600"}).start("sleep", "60")
    job.until(lambda: len(job.processes()) == 5)
    job.agents[0].send_signal(signal.SIGTERM)
    assert job.wait(20) == [1, 143, 143], job.logs()
    assert job.message("launcher")["failure"]["logTail"] == "worker 0 was stopped by a signal"
    assert job.message("worker-0") == {"stopped": True}


def test_agents_stop_when_the_launcher_vanishes(new_job: NewJob) -> None:
    job = new_job().start("sleep", "60")
    job.until(lambda: len(job.processes()) == 5)
    assert job.launcher is not None
    job.launcher.send_signal(signal.SIGKILL)
    assert job.wait(30) == [-9, 143, 143], job.logs()
    assert job.message("worker-0") == job.message("worker-1") == {"stopped": True}


def test_a_process_that_ignores_sigterm_is_killed_after_the_grace(new_job: NewJob) -> None:
    stubborn = "trap '' TERM; echo ready; while true; do sleep 0.1; done"
    job = new_job()
    log = job.folder / "worker-0.log"
    job.start(*by_worker(f"while ! grep -q ready {log}; do sleep 0.1; done; exit 5", stubborn))
    assert job.wait(30)[0] == 1, job.logs()
    assert job.message("launcher")["failure"]["worker"] == 1
    assert job.processes() == []


def test_the_launcher_stops_on_a_signal(new_job: NewJob) -> None:
    job = new_job()
    job.start_launcher()
    assert job.launcher is not None
    job.until(lambda: "waiting for workers" in job.log("launcher"))
    job.launcher.send_signal(signal.SIGTERM)
    assert job.wait(10) == [143]
    assert job.message("launcher") == {"stopped": True}


def test_a_wrong_key_is_rejected_and_changes_nothing(new_job: NewJob) -> None:
    job = new_job(workers=1)
    foreign = job.folder / "foreign-key"
    foreign.write_text(secrets.token_hex(32))
    job.start_launcher()
    job.start_agent(0, "true", FAIRLEAD_KEY_FILE=str(foreign))
    job.until(lambda: "signature does not match" in job.log("launcher"))
    assert job.status()["workers"] == {"ready": 0, "desired": 1, "registered": 0}
    assert "does not accept this job's key" in job.log("worker-0")
    job.agents[0].send_signal(signal.SIGTERM)
    assert job.agents[0].wait(10) == 143
    job.start_agent(0, "true")
    assert job.wait() == [0, 0], job.logs()


def test_no_log_or_environment_of_a_process_holds_the_key(new_job: NewJob) -> None:
    job = new_job(workers=1).start("env")
    assert job.wait() == [0, 0], job.logs()
    assert (job.folder / "key").read_text() not in job.logs()
    assert "FAIRLEAD_KEY_FILE" not in job.log("worker-0")


def test_a_dataset_of_another_digest_is_rejected_before_anything_starts(
    new_job: NewJob, dataset: tuple[str, Manifest]
) -> None:
    digest = "sha256:" + "0" * 64
    environment = {"FAIRLEAD_DATASET_URI": dataset[0], "FAIRLEAD_DATASET_DIGEST": digest}
    job = new_job(workers=1, environment=environment).start("sh", "-c", "echo started")
    assert job.wait() == [1, 1], job.logs()
    failure = job.message("launcher")["failure"]
    assert (failure["reason"], failure["worker"], failure["rank"]) == ("InvalidDataset", 0, None)
    assert f"digest is {dataset[1].digest}, expected {digest}" in failure["logTail"]
    assert "started" not in job.log("worker-0")


def test_a_damaged_dataset_is_rejected(new_job: NewJob, dataset: tuple[str, Manifest]) -> None:
    Path(dataset[0].removeprefix("file://"), "train.npz").write_bytes(b"damaged")
    job = new_job(workers=1, environment={"FAIRLEAD_DATASET_URI": dataset[0]}).start("true")
    assert job.wait() == [1, 1], job.logs()
    assert "as in the manifest" in job.message("launcher")["failure"]["logTail"]


def test_no_model_is_published_when_another_worker_fails(new_job: NewJob, tmp_path: Path) -> None:
    model = tmp_path / "models" / "v1"
    environment = {"FAIRLEAD_MODEL_URI": model.as_uri(), "FAIRLEAD_MODEL_VERSION": "v1"}
    job = new_job(environment=environment).start(
        *by_worker("sleep 1; exit 4", 'echo weights > "$FAIRLEAD_MODEL_DIR/w"')
    )
    assert job.wait() == [1, 143, 4], job.logs()
    assert not model.exists()


def test_a_place_for_the_model_that_is_taken_fails_the_job(new_job: NewJob, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("mine")
    job = new_job(workers=1, environment={"FAIRLEAD_MODEL_URI": (tmp_path / "taken").as_uri()})
    job.start("sh", "-c", 'echo weights > "$FAIRLEAD_MODEL_DIR/w"')
    assert job.wait() == [1, 1], job.logs()
    failure = job.message("launcher")["failure"]
    assert failure["reason"] == "InvalidModel"
    assert "the location is in use" in failure["logTail"]


def test_an_agent_of_another_attempt_is_rejected(new_job: NewJob) -> None:
    job = new_job(workers=1)
    job.start_launcher()
    job.start_agent(0, "true", FAIRLEAD_ATTEMPT="1")
    job.until(lambda: "attempt: got 1, expected 0" in job.log("launcher"))
    job.agents[0].send_signal(signal.SIGTERM)
    job.start_agent(0, "true")
    assert job.wait() == [0, 0], job.logs()


def test_a_missing_setting_is_named(new_job: NewJob) -> None:
    job = new_job(workers=1)
    job.start_agent(0, "true", FAIRLEAD_WORKERS="many")
    assert job.wait() == [2]
    assert "FAIRLEAD_WORKERS: got 'many', expected an integer of at least 1" in job.log("worker-0")


def test_what_a_process_leaves_running_ends_with_it(new_job: NewJob) -> None:
    job = new_job(workers=1).start("sh", "-c", "sleep 60 & exit 0")
    assert job.wait() == [0, 0], job.logs()
    assert job.processes() == []


def test_a_launcher_that_was_paused_neither_succeeds_nor_blames_a_worker(new_job: NewJob) -> None:
    job = new_job().start("sleep", "60")
    job.until(lambda: len(job.processes()) == 5)
    assert job.launcher is not None
    job.launcher.send_signal(signal.SIGSTOP)
    job.until(lambda: all("stopping: " in job.log(f"worker-{worker}") for worker in (0, 1)))
    job.launcher.send_signal(signal.SIGCONT)
    assert job.wait(60) == [1, 143, 143], job.logs()
    failure = job.message("launcher")["failure"]
    assert (failure["reason"], failure["worker"]) == ("LostLauncher", None), job.logs()


def test_a_launcher_that_was_paused_briefly_continues(new_job: NewJob) -> None:
    job = new_job(environment={"FAIRLEAD_SILENCE_SECONDS": "600"})
    ending = job.folder / "ending"
    job.start_launcher(FAIRLEAD_SILENCE_SECONDS="4")
    for worker in (0, 1):
        job.start_agent(worker, "sh", "-c", f"until [ -e {ending} ]; do sleep 0.1; done")
    job.until(lambda: len(job.processes()) >= 5)
    assert job.launcher is not None
    job.launcher.send_signal(signal.SIGSTOP)
    time.sleep(6)  # longer than the silence after which the launcher counts a worker as lost
    job.launcher.send_signal(signal.SIGCONT)
    job.until(lambda: "was paused" in job.log("launcher"))
    ending.touch()
    assert job.wait(60) == [0, 0, 0], job.logs()


def test_a_job_that_must_publish_a_model_fails_without_one(new_job: NewJob, tmp_path: Path) -> None:
    job = new_job(workers=1, environment={"FAIRLEAD_MODEL_URI": (tmp_path / "models" / "v1").as_uri()}).start("true")
    assert job.wait() == [1, 1], job.logs()
    failure = job.message("launcher")["failure"]
    assert (failure["reason"], failure["worker"], failure["rank"]) == ("InvalidModel", 0, 0)
    assert "FAIRLEAD_MODEL_DIR: got no file, expected the model" in failure["logTail"]


def test_a_worker_that_never_registers_fails_the_attempt_and_is_named(new_job: NewJob) -> None:
    job = new_job(environment={"FAIRLEAD_REGISTRATION_SECONDS": "3"})
    job.start_launcher()
    job.start_agent(0, "true")
    job.until(lambda: bool((job.status().get("waiting") or {}).get("until")))
    status = job.status()
    assert status["workers"] == {"ready": 1, "desired": 2, "registered": 1}
    assert status["waiting"]["workers"] == [1]
    assert status["waiting"]["since"] < status["waiting"]["until"]
    assert job.wait(30) == [1, 143], job.logs()
    failure = job.message("launcher")["failure"]
    assert (failure["reason"], failure["worker"]) == ("NotRegistered", 1)
    assert failure["logTail"] == "worker 1 did not register within 3 s of the first worker"


def test_a_worker_that_cannot_reach_the_launcher_reports_a_failure(new_job: NewJob) -> None:
    job = new_job(workers=1, environment={"FAIRLEAD_REGISTRATION_SECONDS": "1"})
    job.start_agent(0, "true")
    assert job.wait(30) == [1], job.logs()
    failure = job.message("worker-0")["failure"]
    assert (failure["reason"], failure["worker"]) == ("NotRegistered", 0)
    assert f"launcher {job.network}.1:7070: " in failure["logTail"]


def test_a_worker_that_is_stopped_before_the_launcher_listens_reports_a_failure(new_job: NewJob) -> None:
    job = new_job(workers=1)
    job.start_agent(0, "true")
    job.until(lambda: "retrying" in job.log("worker-0"))
    job.agents[0].send_signal(signal.SIGTERM)
    assert job.wait(30) == [143], job.logs()
    assert job.message("worker-0")["failure"]["reason"] == "LostWorker"
