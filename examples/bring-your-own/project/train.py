"""Train on every process of torchrun, or of a TrainingJob with `launcher: Torchrun`; rank 0 saves the model.

By hand:  FAIRLEAD_DATASET_DIR=. FAIRLEAD_MODEL_DIR=out torchrun --nproc-per-node 2 project/train.py
"""

import argparse
import json
import os
from pathlib import Path

import torch
import torch.distributed as dist
from houses import load
from network import build_network
from torch.nn.parallel import DistributedDataParallel

try:
    from fairlead_trainer import Progress  # the progress bar; training works without it
except ImportError:
    Progress = None

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=100)
arguments = parser.parse_args()

dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
torch.manual_seed(1)
torch.set_num_threads(1)

features, prices = load(Path(os.environ["FAIRLEAD_DATASET_DIR"], "houses.csv"))
held_out = len(features) // 10
mine = slice(held_out + rank, None, size)
network = build_network(features.shape[1])
model = DistributedDataParallel(network)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
generator = torch.Generator().manual_seed(rank)
progress = Progress(total_steps=arguments.steps) if Progress else None

for step in range(1, arguments.steps + 1):
    batch = torch.randint(len(features[mine]), (64,), generator=generator)
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(features[mine][batch]), prices[mine][batch])
    loss.backward()
    optimizer.step()
    if progress and rank == 0:
        progress.update(step, samples=64 * size, loss=loss.item())
    if rank == 0 and step % 25 == 0:
        print(f"step {step}/{arguments.steps} loss {loss.item():.4f}")

with torch.no_grad():
    error = torch.nn.functional.mse_loss(network(features[:held_out]), prices[:held_out]).item()
if rank == 0:
    folder = Path(os.environ["FAIRLEAD_MODEL_DIR"])
    folder.mkdir(exist_ok=True)
    torch.save(network.state_dict(), folder / "model.pt")
    (folder / "metrics.json").write_text(json.dumps({"heldOutError": error, "processes": size}))
    print(f"held-out error {error:.4f} (1 would be no better than the mean)")
dist.destroy_process_group()
