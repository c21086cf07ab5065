"""examples/elastic-horovod's training, which also reports its progress and logs its steps, commits and restarts."""

import os
import sys
import time
from pathlib import Path

import horovod.torch as hvd
import torch
from fairlead_trainer import Progress

sys.path.insert(0, str(Path(__file__).parent))
from steps import StepLog

FEATURES, SAMPLES, BATCH = 50, 20_000, 256
STEPS, COMMIT_STEPS, PAUSE = int(os.environ["STEPS"]), int(os.environ["COMMIT_STEPS"]), float(os.environ["PAUSE"])

log = StepLog()
progress = Progress(STEPS, min_interval=0)
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
    """Train from the last commit."""
    log.write("begin", state.step, hvd.rank(), hvd.size())
    progress.update(state.step)  # what was done after it is done again
    while state.step < STEPS:
        generator = torch.Generator().manual_seed(state.step)
        batch = torch.randint(SAMPLES, (BATCH,), generator=generator)[hvd.rank() :: hvd.size()]
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(features[batch]), targets[batch])
        loss.backward()
        optimizer.step()
        state.step += 1
        log.write("step", state.step, hvd.rank(), hvd.size())
        progress.update(state.step, loss=loss.item())
        time.sleep(PAUSE)
        if state.step % COMMIT_STEPS == 0:
            # what state.commit() does: the second half may raise
            state.save()
            log.write("commit", state.step, hvd.rank(), hvd.size())
            state.check_host_updates()


train(hvd.elastic.TorchState(model=model, optimizer=optimizer, step=0))
log.write("end", STEPS, hvd.rank(), hvd.size())
