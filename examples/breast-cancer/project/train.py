"""Train a small network on `train.npz`, measure it on `eval.npz`, and save the model for fairlead-onnx-converter.

By hand:  FAIRLEAD_DATASET_DIR=data FAIRLEAD_MODEL_DIR=out python3 project/train.py
"""

import json
import os
from pathlib import Path

import numpy as np
import torch
from torch import nn

STEPS = 200


class Network(nn.Module):
    """Two layers behind the training data's own scale, which is part of the model."""

    def __init__(self, x: torch.Tensor, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", x.mean(0))
        self.register_buffer("deviation", x.std(0))
        self.layers = nn.Sequential(nn.Linear(x.shape[1], 16), nn.ReLU(), nn.Linear(16, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a score for each class."""
        return self.layers((x - self.mean) / self.deviation)


def load(split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the features and the classes of a split."""
    with np.load(Path(os.environ["FAIRLEAD_DATASET_DIR"], f"{split}.npz")) as arrays:
        return torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"])


torch.manual_seed(0)
x, y = load("train")
model = Network(x, int(y.max()) + 1)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=0.001)
for step in range(1, STEPS + 1):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}/{STEPS} loss {loss.item():.4f}")

held_out, classes = load("eval")
with torch.no_grad():
    accuracy = (model(held_out).argmax(1) == classes).float().mean().item()
print(f"accuracy {accuracy:.3f} on {len(classes)} held-out patients")
folder = Path(os.environ["FAIRLEAD_MODEL_DIR"])
folder.mkdir(exist_ok=True)
program = torch.export.export(model.eval(), (x,), dynamic_shapes=({0: torch.export.Dim("rows")},))
torch.export.save(program, folder / "model.pt2")
(folder / "metrics.json").write_text(json.dumps({"accuracy": accuracy}))
