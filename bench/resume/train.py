"""A training with dropout, momentum, a schedule and random data, which continues from its checkpoint."""

import json
import os
import time

import torch
import torch.distributed as dist
from fairlead_trainer import Progress
from fairlead_trainer.checkpoint import Checkpoints

STEPS, PAUSE = int(os.environ["STEPS"]), float(os.environ["PAUSE"])

dist.init_process_group("gloo")
torch.set_num_threads(1)
torch.manual_seed(dist.get_rank())
network = torch.nn.Sequential(
    torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(32, 1)
)  # DistributedDataParallel gives all ranks the weights of rank 0
model = torch.nn.parallel.DistributedDataParallel(network)
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS)
progress = Progress(STEPS, min_interval=0)
checkpoints = Checkpoints(model, optimizer, progress=progress, scheduler=scheduler)
with open(os.environ["LOSSES"], "a") as losses:  # noqa: PTH123
    for step in range(checkpoints.restore() + 1, STEPS + 1):
        inputs = torch.randn(32, 8)
        loss = torch.nn.functional.mse_loss(model(inputs), inputs.sum(1, keepdim=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        if dist.get_rank() == 0:
            print(json.dumps([step, loss.item()]), file=losses, flush=True)
        progress.update(step, loss=loss.item())
        checkpoints.update(step)
        time.sleep(PAUSE)
checkpoints.close()
dist.destroy_process_group()
