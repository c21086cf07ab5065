"""A plain torchrun script that runs anywhere: linear regression with DistributedDataParallel on generated data."""

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

FEATURES, SAMPLES, STEPS, BATCH = 50, 20_000, 200, 256

dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
torch.manual_seed(1)
torch.set_num_threads(1)
truth = torch.randn(FEATURES, 1)

# Every process generates its own part of the data.
generator = torch.Generator().manual_seed(100 + rank)
features = torch.randn(SAMPLES // size, FEATURES, generator=generator)
targets = features @ truth + 0.1 * torch.randn(len(features), 1, generator=generator)

model = DistributedDataParallel(torch.nn.Linear(FEATURES, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

for step in range(1, STEPS + 1):
    batch = torch.randint(len(features), (BATCH,), generator=generator)
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(features[batch]), targets[batch])
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        mean = loss.detach().clone()
        dist.all_reduce(mean)
        if rank == 0:
            print(f"step {step}/{STEPS} loss {mean.item() / size:.4f}")

error = (model.module.weight.detach().T - truth).abs().max().item()
if rank == 0:
    print(f"size {size} largest error of a weight {error:.4f}")
dist.destroy_process_group()
if error > 0.05:
    raise SystemExit(f"rank {rank}: the weights are off by {error:.4f}, expected at most 0.05")
