"""Checkpoints: saved beside the training, whole or absent, verified, and continued from."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fairlead_artifacts import ArtifactError, list_artifacts, publish
from fairlead_trainer import Progress
from fairlead_trainer.checkpoint import Checkpoints
from fairlead_trainer.progress import read_activity, read_progress

from .conftest import Job

NewJob = Callable[..., Job]

TRAIN = """
import json, os
import torch
from fairlead_trainer.checkpoint import Checkpoints
from fairlead_trainer import Progress

{setup}

def train(losses, crash_after=0):
    torch.manual_seed(5 + rank)
    model = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(16, 1))
    {wrap}
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=60)
    progress = Progress(total_steps=60, min_interval=0)
    checkpoints = Checkpoints(model, optimizer, progress=progress, scheduler=scheduler)
    file = open(os.environ["LOSSES"] + losses + str(rank), "a")
    for step in range(checkpoints.restore() + 1, 61):
        x = torch.randn(16, 6)  # from the global generator: its state must be restored in each process
        loss = ((model(x) - x.sum(1, keepdim=True)) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        print(json.dumps([step, loss.item()]), file=file, flush=True)
        progress.update(step, loss=loss.item())
        checkpoints.update(step)
        if step == crash_after:
            checkpoints.close()
            os._exit(9)  # torch's threads may abort a process whose interpreter ends
    checkpoints.close()

if os.environ["FAIRLEAD_ATTEMPT"] == "0":
    place = os.environ.pop("FAIRLEAD_CHECKPOINT_URI")
    train("whole")
    os.environ["FAIRLEAD_CHECKPOINT_URI"] = place
    train("parts", crash_after=37)
train("parts")
"""
TORCH = {
    "setup": 'import torch.distributed as dist\ndist.init_process_group("gloo")\nrank = dist.get_rank()',
    "wrap": "model = torch.nn.parallel.DistributedDataParallel(model)\n    "
    "optimizer = torch.optim.Adam(model.parameters(), lr=0.01)",
}
FSDP = {
    "setup": TORCH["setup"],
    "wrap": "from torch.distributed.fsdp import fully_shard\n    "
    'mesh = dist.device_mesh.init_device_mesh("cpu", (2,))\n    '
    "fully_shard(model, mesh=mesh)\n    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)",
}
HOROVOD = {
    "setup": "import horovod.torch as hvd\nhvd.init()\nrank = hvd.rank()",
    "wrap": "optimizer = torch.optim.Adam(model.parameters(), lr=0.01)\n    "
    "optimizer = hvd.DistributedOptimizer(optimizer, named_parameters=model.named_parameters())\n    "
    "hvd.broadcast_parameters(model.state_dict(), root_rank=0)",
}


def read_losses(file: Path, rank: int) -> dict[int, float]:
    """Return each step's loss; of a step that was done twice, the last."""
    return dict(map(json.loads, Path(f"{file}{rank}").read_text().splitlines()))


@pytest.mark.parametrize(
    ("backend", "parts"),
    [("torchrun", TORCH), ("torchrun", FSDP), ("horovod", HOROVOD)],
    ids=["ddp", "fsdp", "horovod"],
)
def test_a_resumed_training_equals_an_uninterrupted_one(
    new_job: NewJob, tmp_path: Path, backend: str, parts: dict[str, str]
) -> None:
    script = TRAIN.format(**parts)
    variables = {
        "FAIRLEAD_BACKEND": backend,
        "FAIRLEAD_CHECKPOINT_URI": (tmp_path / "checkpoints").as_uri(),
        "FAIRLEAD_CHECKPOINT_STEPS": "10",
        "LOSSES": f"{tmp_path}/",
    }
    first = new_job(environment=variables)
    assert first.start(sys.executable, "-c", script).wait(120)[0] == 1, first.logs()
    again = new_job(environment=variables | {"FAIRLEAD_ATTEMPT": "1"})
    assert again.start(sys.executable, "-c", script).wait(120) == [0, 0, 0], again.logs()
    for rank in (0, 1):
        steps = [json.loads(line)[0] for line in Path(f"{tmp_path}/parts{rank}").read_text().splitlines()]
        assert steps == [*range(1, 38), *range(31, 61)]
        assert read_losses(tmp_path / "parts", rank) == read_losses(tmp_path / "whole", rank)
    progress = again.message("launcher")["progress"]
    assert (progress["resumedFromStep"], progress["step"]) == (30, 60)


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    """Be the only process of a distributed training."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_an_optimizer_without_state_is_restored_in_a_distributed_training(uri: str, group: None) -> None:
    def make() -> tuple[torch.nn.Module, Checkpoints]:
        model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(3, 1))
        return model, Checkpoints(model, torch.optim.SGD(model.parameters(), lr=0.1))

    model, checkpoints = make()
    checkpoints.update(2)
    checkpoints.close()
    again, resumed = make()
    assert resumed.restore() == 2
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_what_a_killed_process_leaves_of_a_checkpoint_is_in_its_agents_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: list[Path] = []

    def note(folder: str, *_: object, **__: object) -> None:
        folders.append(Path(folder))
        raise ArtifactError("file:///store", "noted")

    monkeypatch.setattr("fairlead_trainer.checkpoint.publish", note)
    monkeypatch.setenv("FAIRLEAD_CHECKPOINT_URI", (tmp_path / "checkpoints").as_uri())
    monkeypatch.setenv("FAIRLEAD_CHECKPOINT_STEPS", "1")
    model_folder = tmp_path / "epoch-3" / "model-0"
    model_folder.mkdir(parents=True)
    monkeypatch.setenv("FAIRLEAD_MODEL_DIR", str(model_folder))
    checkpoints = Checkpoints(torch.nn.Linear(2, 2))
    checkpoints.update(1)
    checkpoints.close()
    # the agent removes it with the epoch
    assert [folder.parent for folder in folders] == [tmp_path / "epoch-3"]


@pytest.fixture
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Configure checkpoints after every second step."""
    place = (tmp_path / "checkpoints").as_uri()
    monkeypatch.setenv("FAIRLEAD_CHECKPOINT_URI", place)
    monkeypatch.setenv("FAIRLEAD_CHECKPOINT_STEPS", "2")
    return place


def build(**others: Any) -> tuple[torch.nn.Linear, Checkpoints]:
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)
    return model, Checkpoints(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), **others)


def test_progress_says_how_long_a_checkpoint_took_and_how_large_it_is(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRLEAD_PROGRESS_FILE", str(tmp_path / "progress.json"))
    progress = Progress(total_steps=3)
    model, checkpoints = build(progress=progress)
    train(model, checkpoints, 1, 2)
    checkpoints.close()
    progress.update(3)
    document = json.loads((tmp_path / "progress.json").read_text())
    ((_, manifest),) = list_artifacts(uri)
    assert (document["checkpointStep"], document["checkpointBytes"]) == (2, manifest.size)
    assert 0 < document["checkpointSeconds"] < 60


def test_a_checkpoint_that_is_complete_after_the_last_step_is_reported_without_another_one(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRLEAD_PROGRESS_FILE", str(tmp_path / "progress.json"))
    progress = Progress(total_steps=2)
    progress.update(2, loss=0.5)
    model, checkpoints = build(progress=progress)
    train(model, checkpoints, 1, 2)
    report = read_progress(tmp_path / "progress.json")
    assert report is not None
    assert (report.step, report.metrics, report.checkpoint_step) == (2, {"loss": 0.5}, 2)


def train(model: torch.nn.Linear, checkpoints: Checkpoints, *steps: int) -> None:
    for step in steps:
        with torch.no_grad():
            model.weight.fill_(step)
        checkpoints.update(step)
        checkpoints.close()


def steps_of(uri: str) -> list[int]:
    return [int(found.rpartition("-")[2]) for found, _ in list_artifacts(uri)]


def test_the_last_ones_are_kept(uri: str) -> None:
    train(*build(), *range(1, 12))
    assert steps_of(uri) == [6, 8, 10]
    model, checkpoints = build()
    assert checkpoints.restore() == 10
    assert model.weight.tolist() == [[10.0] * 3]


def test_without_a_uri_nothing_is_saved(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.delenv("FAIRLEAD_CHECKPOINT_URI")
    model, checkpoints = build()
    train(model, checkpoints, 1, 2, 3)
    assert checkpoints.restore() == 0
    assert steps_of(uri) == []


def test_progress_names_the_later_checkpoints_that_are_damaged(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(*build(), 1, 2, 3, 4, 5, 6)
    (tmp_path / "checkpoints" / "step-000000006" / "manifest.json").write_bytes(b"x")
    (tmp_path / "checkpoints" / "step-000000004" / "state.pt").write_bytes(b"x")
    monkeypatch.setenv("FAIRLEAD_PROGRESS_FILE", str(tmp_path / "progress.json"))
    progress = Progress()
    assert build(progress=progress)[1].restore() == 2
    progress.update(3)
    assert json.loads((tmp_path / "progress.json").read_text())["damagedSteps"] == [4, 6]


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing"])
def test_an_older_checkpoint_is_used_if_the_last_one_is_damaged(
    uri: str, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    train(*build(), 1, 2, 3, 4)
    file = tmp_path / "checkpoints" / "step-000000004" / "state.pt"
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(content[:-1] if damage == "truncated" else bytes([content[0] ^ 1]) + content[1:])
    progress = Progress()
    model, checkpoints = build(progress=progress)
    assert checkpoints.restore() == 2
    assert model.weight.tolist() == [[2.0] * 3]
    assert (progress.resumed_from_step, progress.damaged_steps) == (2, (4,))
    assert "step 4 is damaged, trying an older one" in caplog.text


@pytest.mark.parametrize("file", ["state.pt", "manifest.json"])
def test_if_all_are_damaged_the_training_does_not_begin_anew(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    train(*build(), 1, 2)
    monkeypatch.setenv("FAIRLEAD_CHECKPOINT_RESTORE", (tmp_path / "another").as_uri())
    (tmp_path / "checkpoints" / "step-000000002" / file).write_bytes(b"x")
    with pytest.raises(ArtifactError, match="step-000000002"):
        build()[1].restore()


def test_a_damaged_checkpoint_of_a_later_step_does_not_cost_the_ones_that_follow_an_older_one(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(*build(), 2, 4)
    (tmp_path / "checkpoints" / "step-000000004" / "state.pt").write_bytes(b"")
    monkeypatch.setenv("FAIRLEAD_CHECKPOINT_KEEP", "1")
    monkeypatch.setenv("FAIRLEAD_CHECKPOINT_STEPS", "1")
    model, checkpoints = build()
    assert checkpoints.restore() == 2
    train(model, checkpoints, 3)
    assert steps_of(uri) == [3]
    assert build()[1].restore() == 3


def test_a_job_begins_with_anothers_checkpoint_until_it_has_its_own(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(*build(), 1, 2, 3, 4)
    monkeypatch.setenv("FAIRLEAD_CHECKPOINT_URI", (tmp_path / "other").as_uri())
    monkeypatch.setenv("FAIRLEAD_CHECKPOINT_RESTORE", uri)
    assert build()[1].restore() == 4
    monkeypatch.setenv("FAIRLEAD_CHECKPOINT_RESTORE", f"{uri}/step-000000002")
    model, checkpoints = build()
    assert checkpoints.restore() == 2
    train(model, checkpoints, 3, 4, 5, 6)
    monkeypatch.setenv("FAIRLEAD_CHECKPOINT_RESTORE", f"{uri}/none")
    assert build()[1].restore() == 6
    monkeypatch.setenv("FAIRLEAD_CHECKPOINT_URI", (tmp_path / "third").as_uri())
    with pytest.raises(ArtifactError, match="no checkpoint found, expected one to begin with"):
        build()[1].restore()


def test_a_checkpoint_that_would_run_code_is_not_loaded(uri: str, tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {tmp_path}/owned",)

    folder = tmp_path / "hostile"
    folder.mkdir()
    torch.save({"model": Hostile()}, folder / "state.pt")
    publish(folder, f"{uri}/step-000000009", kind="checkpoint", producer="x", parameters={"step": 9})
    with pytest.raises(Exception, match="Weights only load failed"):
        build()[1].restore()
    assert not (tmp_path / "owned").exists()


def test_a_store_that_fails_does_not_end_the_training(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("fairlead_trainer.checkpoint.PUBLISH_SECONDS", 0.1)
    monkeypatch.setenv("FAIRLEAD_PROGRESS_FILE", str(tmp_path / "progress.json"))
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    model, checkpoints = build()
    train(model, checkpoints, 1, 2)
    assert "step 2 was not saved, the training goes on" in caplog.text
    assert str(read_activity(tmp_path / "progress.json")).startswith("the checkpoint of step 2 is not saved: file:///")
    (tmp_path / "checkpoints").unlink()
    train(model, checkpoints, 3, 4)
    assert steps_of(uri) == [4]
    assert read_activity(tmp_path / "progress.json") is None


def test_a_state_that_could_not_be_loaded_again_is_not_saved(uri: str) -> None:
    class Odd:
        def state_dict(self) -> dict[str, Any]:
            return {"when": {"then": Path("x")}}

        def load_state_dict(self, state: dict[str, Any]) -> None: ...

    model, checkpoints = build(odd=Odd())
    with pytest.raises(TypeError, match="others/odd/when/then: got PosixPath, expected tensors, numbers"):
        train(model, checkpoints, 2)


def test_numbers_of_numpy_are_saved_and_enumerations_rejected(uri: str) -> None:
    class Box:
        value: Any = np.float64(0.5)

        def state_dict(self) -> dict[str, Any]:
            return {"value": self.value, np.int64(3): [1, (2, None)]}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.loaded = state

    box = Box()
    train(*build(box=box), 2)
    assert build(box=box)[1].restore() == 2
    assert box.loaded == {"value": 0.5, 3: [1, (2, None)]}
    box.value = IntEnum("Kind", "a").a
    with pytest.raises(TypeError, match="others/box/value: got Kind, expected tensors"):
        train(*build(box=box), 4)


def test_what_a_script_names_must_be_what_was_saved(uri: str) -> None:
    train(*build(), 2)
    scheduler = torch.optim.lr_scheduler.StepLR(torch.optim.SGD([torch.zeros(1)], lr=1.0), 3)
    with pytest.raises(ValueError, match=r"others: got \['scheduler'\], expected those of the checkpoint, \[\]"):
        build(scheduler=scheduler)[1].restore()
