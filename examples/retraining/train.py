"""Train a small network on images of digits, from the last checkpoint if there is one, and save the model."""

import os
from pathlib import Path

import numpy as np
import torch
from fairlead_trainer import Progress, save_model
from fairlead_trainer.checkpoint import Checkpoints
from torch import nn
from torch.nn import functional

STEPS, BATCH = 1000, 64
"""Steps of this training, whatever step the checkpoint has from which it starts."""

torch.manual_seed(7)
torch.set_num_threads(1)
arrays = np.load(Path(os.environ["FAIRLEAD_DATASET_DIR"], "train.npz"))
images, labels = torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"])

network = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
progress = Progress()
checkpoints = Checkpoints(network, optimizer, progress=progress)
start = checkpoints.restore()

for step in range(start + 1, start + 1 + STEPS):
    batch = torch.randint(len(images), (BATCH,))
    optimizer.zero_grad()
    loss = functional.cross_entropy(network(images[batch]), labels[batch])
    loss.backward()
    optimizer.step()
    checkpoints.update(step)
    progress.update(step, samples=BATCH, loss=loss.item())

checkpoints.close()
save_model(network, {"image": images[:2]}, outputs=["logits"])
