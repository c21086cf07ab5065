"""Workers of one node that mount a volume share their datasets there."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fairlead_artifacts import Manifest

from .conftest import Job

NewJob = Callable[..., Job]
SHOW = "import os; folder = os.environ['FAIRLEAD_DATASET_DIR']; print('found', folder, sorted(os.listdir(folder)))"


def start(new_job: NewJob, dataset: tuple[str, Manifest], cache: Path, size: str) -> Job:
    environment = {
        "FAIRLEAD_DATASET_URI": dataset[0],
        "FAIRLEAD_DATASET_DIGEST": dataset[1].digest,
        "FAIRLEAD_DATASET_CACHE": str(cache),
        "FAIRLEAD_DATASET_CACHE_BYTES": size,
    }
    job = new_job(environment=environment).start(sys.executable, "-c", SHOW)
    assert job.wait(90) == [0, 0, 0], job.logs()
    return job


def test_workers_of_one_node_and_later_jobs_share_a_dataset(
    new_job: NewJob, dataset: tuple[str, Manifest], tmp_path: Path
) -> None:
    place = tmp_path / "cache" / dataset[1].digest.removeprefix("sha256:") / "files"
    job = start(new_job, dataset, tmp_path / "cache", "1Gi")
    for worker in ("worker-0", "worker-1"):
        assert f"found {place} ['eval.npz', 'train.npz']" in job.log(worker)
    intact = (place / "eval.npz").read_bytes()
    (place / "eval.npz").chmod(0o600)
    (place / "eval.npz").write_bytes(b"damaged")
    again = start(new_job, dataset, tmp_path / "cache", "1Gi")
    assert "is damaged" in again.logs()
    assert (place / "eval.npz").read_bytes() == intact
    for worker in ("worker-0", "worker-1"):
        assert f"found {place} ['eval.npz', 'train.npz']" in again.log(worker)


@pytest.mark.parametrize("cache", ["too-small", "no-folder"])
def test_a_cache_that_cannot_hold_the_dataset_costs_time_only(
    new_job: NewJob, dataset: tuple[str, Manifest], tmp_path: Path, cache: str
) -> None:
    (tmp_path / "no-folder").write_text("")
    job = start(new_job, dataset, tmp_path / cache, "10" if cache == "too-small" else "1Gi")
    for worker in ("worker-0", "worker-1"):
        assert "the dataset is fetched for this worker alone: " in job.log(worker)
        assert "/dataset ['eval.npz', 'train.npz']" in job.log(worker)
