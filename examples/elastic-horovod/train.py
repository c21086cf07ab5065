"""A plain elastic Horovod script, as Horovod documents them: linear regression while workers come and go."""

import os
import time

import horovod.torch as hvd
import torch

FEATURES, SAMPLES, STEPS, BATCH = 50, 20_000, int(os.environ.get("STEPS", "400")), 256
PAUSE = float(os.environ.get("PAUSE", "0"))

hvd.init()
torch.manual_seed(1)
torch.set_num_threads(1)
truth = torch.randn(FEATURES, 1)
features = torch.randn(SAMPLES, FEATURES)
targets = features @ truth + 0.1 * torch.randn(SAMPLES, 1)

model = torch.nn.Linear(FEATURES, 1)
optimizer = hvd.DistributedOptimizer(
    torch.optim.SGD(model.parameters(), lr=0.05), named_parameters=model.named_parameters()
)


@hvd.elastic.run
def train(state):
    """Train from the last commit, which all workers agree on."""
    while state.step < STEPS:
        generator = torch.Generator().manual_seed(state.step)
        batch = torch.randint(SAMPLES, (BATCH,), generator=generator)[hvd.rank() :: hvd.size()]
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(features[batch]), targets[batch])
        loss.backward()
        optimizer.step()
        time.sleep(PAUSE)
        state.step += 1
        if state.step % 10 == 0:
            state.commit()
            if hvd.rank() == 0:
                print(f"step {state.step}/{STEPS} size {hvd.size()} loss {loss.item():.4f}", flush=True)


train(hvd.elastic.TorchState(model=model, optimizer=optimizer, step=0))
error = (model.weight.detach().T - truth).abs().max().item()
print(f"rank {hvd.rank()} size {hvd.size()} largest error of a weight {error:.4f}")
if error > 0.05:
    raise SystemExit(f"the weights are off by {error:.4f}, expected at most 0.05")
