"""What workers do beside their training that takes long or fails: it is in the launcher's status while it does."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fairlead_artifacts import StoreUnavailable
from fairlead_contracts.launcher_status import MAX_DELAY
from fairlead_trainer.delays import Activity, describe_full_disk

NewJob = Callable[..., Any]
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
SCRIPT = """
import os, sys, time
from pathlib import Path
from fairlead_trainer.progress import ActivityFile
file = ActivityFile()
file.write("the checkpoint of step 2 is not saved:\\ndisk full")
while not Path(sys.argv[1], "reported").exists():
    time.sleep(0.05)
file.clear()
while not Path(sys.argv[1], "cleared").exists():
    time.sleep(0.05)
"""


@pytest.fixture
def silent_store() -> Iterator[dict[str, str]]:
    """Return the variables of an object store that accepts connections and answers nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield KEYS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.getsockname()[1]}"}


@pytest.fixture
def absent_store(silent_store: dict[str, str]) -> Iterator[dict[str, str]]:
    """Return the variables of an object store at an address that nobody listens at."""
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused, and nobody else gets the port
        yield silent_store | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{unused.getsockname()[1]}"}


def stop(job: Any) -> None:
    for process in (*job.agents.values(), job.launcher):
        process.terminate()
    job.wait()


def find_delay(job: Any) -> str:
    """Return what the launcher says of worker 0, empty if nothing delays it."""
    delays = job.status().get("delays") or [{"worker": 0, "activity": ""}]
    assert [delay["worker"] for delay in delays] == [0]
    return str(delays[0]["activity"])


def test_a_worker_that_cannot_reach_the_store_says_so_before_it_registers(
    new_job: NewJob, absent_store: dict[str, str]
) -> None:
    job = new_job(workers=1, environment=absent_store | {"FAIRLEAD_DATASET_URI": "s3://data/v1"}).start("true")
    job.until(lambda: "Connection refused" in find_delay(job), 20)
    assert find_delay(job).startswith("fetching the dataset s3://data/v1 since ")
    assert job.status()["phase"] == "Waiting"
    stop(job)


def test_a_store_that_does_not_answer_is_named_although_no_request_has_failed_yet(
    new_job: NewJob, silent_store: dict[str, str]
) -> None:
    job = new_job(workers=1, environment=silent_store | {"FAIRLEAD_DATASET_URI": "s3://data/v1"}).start("true")
    job.until(lambda: find_delay(job).startswith("fetching the dataset s3://data/v1 since "), 20)
    stop(job)


def test_a_model_that_cannot_be_published_is_named_while_that_is_retried(
    new_job: NewJob, absent_store: dict[str, str]
) -> None:
    environment = absent_store | {"FAIRLEAD_MODEL_URI": "s3://models/v1", "FAIRLEAD_MODEL_VERSION": "v1"}
    job = new_job(workers=1, environment=environment).start("sh", "-c", 'echo weights > "$FAIRLEAD_MODEL_DIR/w"')
    job.until(lambda: "Connection refused" in find_delay(job), 20)
    assert find_delay(job).startswith("publishing the model s3://models/v1 since ")
    assert job.status()["phase"] == "Running"
    stop(job)


def test_what_a_script_cannot_do_is_reported_until_it_can(new_job: NewJob, tmp_path: Path) -> None:
    job = new_job(workers=1).start(sys.executable, "-c", SCRIPT, str(tmp_path))
    job.until(lambda: find_delay(job) == "the checkpoint of step 2 is not saved: disk full", 20)
    (tmp_path / "reported").touch()
    job.until(lambda: not find_delay(job), 20)
    (tmp_path / "cleared").touch()
    assert job.wait() == [0, 0], job.logs()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_named_because_what_cannot_be_written_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", tmp_path / "disk"], check=True)
    try:
        assert describe_full_disk(tmp_path / "disk") is None
        (tmp_path / "disk" / "file").write_bytes(bytes(3 << 19))
        assert describe_full_disk(tmp_path / "disk") == "no space is left on the disk of its work folder"
    finally:
        subprocess.run(["umount", tmp_path / "disk"], check=True)
    assert describe_full_disk(tmp_path / "gone") is None


def test_what_is_quick_is_not_reported_and_what_fails_is_at_once() -> None:
    now = 100.0
    activity = Activity(lambda: now)
    assert activity.describe() is None
    with activity.during("fetching") as note:
        assert activity.describe() is None
        now += 6
        assert str(activity.describe()).startswith("fetching since ")
    assert activity.describe() is None
    with activity.during("publishing") as note:
        note(StoreUnavailable("s3://models/v1", "no\nanswer" + "." * 500))
        text = str(activity.describe())
        assert text.endswith("...") and "Z: no answer..." in text and len(text) == MAX_DELAY
