"""Scripts for torchrun, run with the launcher and agents."""

import sys
from collections.abc import Callable

import pytest
from fairlead_trainer.backends import BACKENDS
from fairlead_trainer.backends.base import Launch, Member

from .conftest import ROOT, Job

NewJob = Callable[..., Job]
TORCHRUN = {"FAIRLEAD_BACKEND": "torchrun"}

ENDLESS = """
import os, sys, torch, torch.distributed as dist
dist.init_process_group("gloo")
for step in range(10**9):
    dist.all_reduce(torch.ones(4))
    if step == 20 and dist.get_rank() == 1:
        {end}
"""

FSDP = """
import torch, torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
mesh = init_device_mesh("cpu", (2,))
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
for layer in model:
    if isinstance(layer, torch.nn.Linear):
        fully_shard(layer, mesh=mesh)
fully_shard(model, mesh=mesh)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
torch.manual_seed(dist.get_rank())
losses = []
for _ in range(60):
    x = torch.randn(32, 8)
    loss = ((model(x) - x.sum(1, keepdim=True)) ** 2).mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    losses.append(loss.item())
local = next(model.parameters()).to_local().shape[0]
print("sharded", local, "improved", losses[-1] < losses[0] / 2)
dist.destroy_process_group()
"""

TENSOR_PARALLEL = """
import torch, torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
mesh = init_device_mesh("cpu", (2,))
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
x = torch.randn(5, 8)
expected = model(x)
parallelize_module(model, mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})
print("equal", torch.allclose(model(x), expected, atol=1e-5))
dist.destroy_process_group()
"""


def test_a_plain_script_runs_unmodified_with_two_slots_on_each_of_two_workers(new_job: NewJob) -> None:
    script = ROOT / "examples" / "plain-torchrun" / "train.py"
    assert "fairlead" not in script.read_text()
    job = new_job(workers=2, slots=2, environment=TORCHRUN).start(sys.executable, str(script))
    assert job.wait(120) == [0, 0, 0], job.logs()
    assert "[0] step 200/200 loss" in job.log("worker-0")
    assert "[0] size 4 largest error" in job.log("worker-0")


@pytest.mark.parametrize(("script", "line"), [(FSDP, "sharded 8 improved True"), (TENSOR_PARALLEL, "equal True")])
def test_sharded_and_tensor_parallel_models_train(new_job: NewJob, script: str, line: str) -> None:
    job = new_job(workers=2, environment=TORCHRUN).start(sys.executable, "-c", script)
    assert job.wait(120) == [0, 0, 0], job.logs()
    assert f"[0] {line}" in job.log("worker-0")
    assert f"[1] {line}" in job.log("worker-1")


# not sys.exit: torch's threads may abort a process whose interpreter ends
@pytest.mark.parametrize(("end", "code"), [("os._exit(3)", 3), ("os.kill(os.getpid(), 9)", 137)])
def test_the_worker_that_failed_is_named_not_the_one_that_noticed(new_job: NewJob, end: str, code: int) -> None:
    job = new_job(environment=TORCHRUN).start(sys.executable, "-c", ENDLESS.format(end=end))
    codes = job.wait(120)
    failure = job.message("launcher")["failure"]
    assert (failure["worker"], failure["rank"], failure["exitCode"]) == (1, 1, code), job.logs()
    assert codes == [1, 143, code], job.logs()


def test_ranks_follow_the_order_of_the_members() -> None:
    members = [Member(worker, f"10.0.0.{worker}", "eth0", 2, "", port=4000 + worker) for worker in (2, 0)]
    rendezvous = BACKENDS["torchrun"].begin(Launch("digits", 3, "0.0.0.0", "10.0.0.9"))
    slots = rendezvous.assign(members, epoch=0)
    assert {worker: [slot.rank for slot in own] for worker, own in slots.items()} == {2: [0, 1], 0: [2, 3]}
    environment = slots[0][1].environment
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT")
    assert [environment[name] for name in names] == ["3", "1", "4", "2", "1", "10.0.0.2", "4002"]
    assert environment["TORCHELASTIC_RESTART_COUNT"] == "3"
    assert environment["USE_LIBUV"] == "0"  # images may bring a torch without it
