"""A plain script for elastic torchrun: linear regression that goes on from its own snapshot when it is started again.

Every worker keeps a snapshot; whoever is rank 0 shares its own, so that no common volume is needed. By hand:
torchrun --nnodes 1:3 --max-restarts 100 --rdzv-backend c10d --rdzv-endpoint HOST train.py
"""

import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

FEATURES, SAMPLES, STEPS, BATCH = 50, 20_000, int(os.environ.get("STEPS", "400")), 256
PAUSE = float(os.environ.get("PAUSE", "0"))
SNAPSHOT = Path(os.environ.get("SNAPSHOT", "snapshot.pt"))


def load(model, optimizer):
    """Restore rank 0's snapshot in all processes; return its step."""
    found = rank == 0 and SNAPSHOT.exists()
    shared = [torch.load(SNAPSHOT, weights_only=True) if found else None]
    dist.broadcast_object_list(shared, src=0)
    if shared[0] is None:
        return 0
    model.load_state_dict(shared[0]["model"])
    optimizer.load_state_dict(shared[0]["optimizer"])
    return shared[0]["step"]


def save(model, optimizer, step):
    """Replace this worker's snapshot."""
    part = SNAPSHOT.with_suffix(".part")
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, part)
    part.replace(SNAPSHOT)


dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
torch.manual_seed(1)
torch.set_num_threads(1)
truth = torch.randn(FEATURES, 1)
features = torch.randn(SAMPLES, FEATURES)
targets = features @ truth + 0.1 * torch.randn(SAMPLES, 1)

model = DistributedDataParallel(torch.nn.Linear(FEATURES, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.5)
begin = load(model, optimizer)
if rank == 0:
    print(f"size {size} restart {os.environ['TORCHELASTIC_RESTART_COUNT']} begins after step {begin}", flush=True)

for step in range(begin + 1, STEPS + 1):
    generator = torch.Generator().manual_seed(step)
    batch = torch.randint(SAMPLES, (BATCH,), generator=generator)[rank::size]
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(features[batch]), targets[batch])
    loss.backward()
    optimizer.step()
    time.sleep(PAUSE)
    if step % 10 == 0 or step == STEPS:
        if os.environ["LOCAL_RANK"] == "0":
            save(model, optimizer, step)
        if rank == 0:
            print(f"step {step}/{STEPS} size {size} loss {loss.item():.4f}", flush=True)

error = (model.module.weight.detach().T - truth).abs().max().item()
print(f"rank {rank} size {size} largest error of a weight {error:.4f}")
dist.destroy_process_group()
if error > 0.05:
    raise SystemExit(f"the weights are off by {error:.4f}, expected at most 0.05")
