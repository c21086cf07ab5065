"""Jobs on GPUs, one process per GPU over NCCL; skipped where there is none."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from .conftest import Job

NewJob = Callable[..., Job]
TORCHRUN = {"FAIRLEAD_BACKEND": "torchrun"}
GPUS = torch.cuda.device_count()
pytestmark = pytest.mark.skipif(GPUS == 0, reason="needs a GPU")

DDP = """
import os, torch, torch.distributed as dist
torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
dist.init_process_group("nccl")
torch.manual_seed(0)
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(8, 1).cuda())
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
for step in range(300):
    x = torch.randn(64, 8, device="cuda")
    loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(dist.get_backend(), torch.cuda.get_device_name(), "learned", loss.item() < 0.01)
dist.destroy_process_group()
"""

HOROVOD = """
import torch
import horovod.torch as hvd
hvd.init()
torch.cuda.set_device(hvd.local_rank())
assert hvd.nccl_built(), "expected Horovod with NCCL"
total = hvd.allreduce(torch.full((1000,), hvd.rank() + 1.0, device="cuda"), op=hvd.Sum)
assert total.is_cuda and total[0].item() == hvd.size() * (hvd.size() + 1) / 2, total[0]
model = torch.nn.Linear(8, 1).cuda()
optimizer = hvd.DistributedOptimizer(torch.optim.Adam(model.parameters(), lr=0.05), model.named_parameters())
hvd.broadcast_parameters(model.state_dict(), root_rank=0)
hvd.broadcast_optimizer_state(optimizer, root_rank=0)
for step in range(300):
    x = torch.randn(64, 8, device="cuda")
    loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("learned", loss.item() < 0.01)
"""

CHECKPOINTS = """
import json, os, sys, torch, torch.distributed as dist
from fairlead_trainer.checkpoint import Checkpoints
torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
torch.use_deterministic_algorithms(True)
dist.init_process_group("nccl")
torch.manual_seed(3)
model = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.Dropout(0.2), torch.nn.Linear(64, 1)).cuda()
model = torch.nn.parallel.DistributedDataParallel(model)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
checkpoints = Checkpoints(model, optimizer)
with open(os.environ["LOSSES"], "a") as losses:
    for step in range(checkpoints.restore() + 1, 41):
        x = torch.randn(32, 8, device="cuda")
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(json.dumps([step, loss.item()]), file=losses, flush=True)
        checkpoints.update(step)
        if step == 25 and os.environ["FAIRLEAD_ATTEMPT"] == os.environ.get("CRASH"):
            checkpoints.close()
            os._exit(9)  # torch's threads may abort a process whose interpreter ends
checkpoints.close()
dist.destroy_process_group()
"""

OUT_OF_MEMORY = """
import torch
torch.empty(1 << 50, dtype=torch.uint8, device="cuda")
"""


def test_torch_distributed_trains_over_nccl(new_job: NewJob) -> None:
    job = new_job(workers=1, slots=GPUS, environment=TORCHRUN).start(sys.executable, "-c", DDP)
    assert job.wait(180) == [0, 0], job.logs()
    assert f"nccl {torch.cuda.get_device_name()} learned True" in job.log("worker-0")


def test_horovod_trains_over_nccl(new_job: NewJob) -> None:
    hvd = pytest.importorskip("horovod.torch")
    if not hvd.nccl_built():
        pytest.skip("needs Horovod built with --gpu")
    job = new_job(workers=1, slots=GPUS).start(sys.executable, "-c", HOROVOD)
    assert job.wait(180) == [0, 0], job.logs()
    assert "learned True" in job.log("worker-0")


def test_a_resumed_training_on_gpus_equals_the_uninterrupted_one(new_job: NewJob, tmp_path: Path) -> None:
    def run(name: str, **variables: str) -> dict[int, float]:
        environment = TORCHRUN | {
            "LOSSES": str(tmp_path / name),
            "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
            "FAIRLEAD_CHECKPOINT_URI": f"file://{tmp_path}/{name}-checkpoints",
            "FAIRLEAD_CHECKPOINT_STEPS": "10",
        }
        job = new_job(workers=1, slots=1, environment=environment | variables)
        job.start(sys.executable, "-c", CHECKPOINTS)
        job.wait(180)
        return dict(map(json.loads, (tmp_path / name).read_text().splitlines()))

    whole = run("whole")
    assert len(whole) == 40
    first = run("resumed", CRASH="0")
    assert max(first) == 25
    again = run("resumed", FAIRLEAD_ATTEMPT="1", CRASH="0")
    lines = (tmp_path / "resumed").read_text().splitlines()
    assert json.loads(lines[25])[0] == 21, "expected the second attempt to continue after step 20"
    assert again == whole


def test_memory_that_a_gpu_lacks_is_named_as_the_cause(new_job: NewJob) -> None:
    job = new_job(workers=1, environment=TORCHRUN).start(sys.executable, "-c", OUT_OF_MEMORY)
    assert job.wait(180) != [0, 0]
    assert "CUDA out of memory" in json.dumps(job.message("launcher"))
