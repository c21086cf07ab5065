"""A plain script that trains a small convolutional network on random images and measures itself.

MODE says how its ranks are connected: by Horovod, by DistributedDataParallel, or not at all. It knows nothing of who
started it. Each rank writes its images per second into RESULTS.
"""

import json
import os
import time
from pathlib import Path

import torch
from torch import nn

MODE, RESULTS = os.environ["MODE"], Path(os.environ["RESULTS"])
STEPS, WARM_UP, BATCH = int(os.environ["STEPS"]), 10, 32

torch.set_num_threads(1)
model: nn.Module = nn.Sequential(
    nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(64 * 8 * 8, 128), nn.ReLU(), nn.Linear(128, 10),
)  # fmt: skip
if MODE == "horovod":
    import horovod.torch as hvd

    hvd.init()
    rank, size = hvd.rank(), hvd.size()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    optimizer = hvd.DistributedOptimizer(optimizer, named_parameters=model.named_parameters())
    hvd.broadcast_parameters(model.state_dict(), root_rank=0)
elif MODE == "ddp":
    torch.distributed.init_process_group("gloo")
    rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    model = nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
else:
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

images, labels = torch.randn(BATCH, 3, 32, 32), torch.randint(10, (BATCH,))
began = 0.0
for step in range(WARM_UP + STEPS):
    if step == WARM_UP:
        # ranks that are not connected wait for each other here, too
        (RESULTS / f"ready-{rank}").touch()
        while len(list(RESULTS.glob("ready-*"))) < size:
            time.sleep(0.001)
        began = time.perf_counter()
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(images), labels).backward()
    optimizer.step()
rate = STEPS * BATCH / (time.perf_counter() - began)
part = RESULTS / f".rank-{rank}"
part.write_text(json.dumps(rate))
part.rename(RESULTS / f"rank-{rank}.json")
