"""A DistributedDataParallel training with checkpoints, which reports its progress and logs its steps and restarts."""

import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from fairlead_trainer import Progress
from fairlead_trainer.checkpoint import Checkpoints

sys.path.insert(0, str(Path(__file__).parent))
from steps import StepLog

FEATURES, SAMPLES, BATCH = 50, 20_000, 256
STEPS, PAUSE = int(os.environ["STEPS"]), float(os.environ["PAUSE"])

log = StepLog()
progress = Progress(STEPS, min_interval=0)
torch.manual_seed(1)
torch.set_num_threads(1)
truth = torch.randn(FEATURES, 1)
features = torch.randn(SAMPLES, FEATURES)
targets = features @ truth + 0.1 * torch.randn(SAMPLES, 1)
dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(FEATURES, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
checkpoints = Checkpoints(model, optimizer, progress=progress)

start = committed = checkpoints.restore()
log.write("begin", start, rank, size)
progress.update(start)
for step in range(start + 1, STEPS + 1):
    generator = torch.Generator().manual_seed(step)
    batch = torch.randint(SAMPLES, (BATCH,), generator=generator)[rank::size]
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(features[batch]), targets[batch])
    loss.backward()
    optimizer.step()
    log.write("step", step, rank, size)
    checkpoints.update(step)
    saved = progress.checkpoint_step or 0
    if saved > committed:
        committed = saved
        log.write("commit", committed, rank, size)
    progress.update(step, loss=loss.item())
    time.sleep(PAUSE)
checkpoints.close()
log.write("end", STEPS, rank, size)
dist.destroy_process_group()
