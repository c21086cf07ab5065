"""A plain Horovod script that runs anywhere: linear regression on generated data."""

import horovod.torch as hvd
import torch

FEATURES, SAMPLES, STEPS, BATCH = 50, 20_000, 200, 256

hvd.init()
torch.manual_seed(1)
torch.set_num_threads(1)
truth = torch.randn(FEATURES, 1)

# Every process generates its own part of the data.
generator = torch.Generator().manual_seed(100 + hvd.rank())
features = torch.randn(SAMPLES // hvd.size(), FEATURES, generator=generator)
targets = features @ truth + 0.1 * torch.randn(len(features), 1, generator=generator)

model = torch.nn.Linear(FEATURES, 1)
optimizer = hvd.DistributedOptimizer(
    torch.optim.SGD(model.parameters(), lr=0.05), named_parameters=model.named_parameters()
)
hvd.broadcast_parameters(model.state_dict(), root_rank=0)

for step in range(1, STEPS + 1):
    batch = torch.randint(len(features), (BATCH,), generator=generator)
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(features[batch]), targets[batch])
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        mean = hvd.allreduce(loss.detach(), name="loss").item()
        if hvd.rank() == 0:
            print(f"step {step}/{STEPS} loss {mean:.4f}")

error = (model.weight.detach().T - truth).abs().max().item()
if hvd.rank() == 0:
    print(f"size {hvd.size()} largest error of a weight {error:.4f}")
if error > 0.05:
    raise SystemExit(f"rank {hvd.rank()}: the weights are off by {error:.4f}, expected at most 0.05")
