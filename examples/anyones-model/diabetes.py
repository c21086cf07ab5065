"""A model with three inputs and two outputs: writes model/ and data/ into the folder that is named.

Needs torch and scikit-learn (for its data); nothing of Fairlead.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_diabetes
from torch import nn

BODY, BLOOD = [0, 2, 3], [4, 5, 6, 7, 8, 9]
"""Columns of the data: age, body mass, pressure; six measurements of the blood. Column 1 is the sex."""


class Diabetes(nn.Module):
    """Predicts whether the disease progresses fast, and how far it progresses in a year."""

    def __init__(self) -> None:
        super().__init__()
        self.sex = nn.Embedding(2, 4)
        self.hidden = nn.Linear(4 + len(BODY) + len(BLOOD), 32)
        self.risk, self.progression = nn.Linear(32, 2), nn.Linear(32, 1)

    def forward(self, body: torch.Tensor, blood: torch.Tensor, sex: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores of slow and fast, and the progression."""
        hidden = torch.relu(self.hidden(torch.cat([body, blood, self.sex(sex)], dim=1)))
        return self.risk(hidden), self.progression(hidden)


def main(folder: Path) -> None:
    """Train on three quarters of the patients, and keep the others for the comparison."""
    torch.manual_seed(0)
    table, target = load_diabetes(return_X_y=True)
    values, sex = table.astype(np.float32) * 20, (table[:, 1] > 0).astype(np.int64)
    fast, progression = (target > 140).astype(np.int64), (target / 100).astype(np.float32)
    arrays = {"body": values[:, BODY], "blood": values[:, BLOOD], "sex": sex}
    inputs = {name: torch.from_numpy(array) for name, array in arrays.items()}
    train = [tensor[:330] for tensor in inputs.values()]

    model = Diabetes()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        risk, predicted = model(*train)
        loss = nn.functional.cross_entropy(risk, torch.from_numpy(fast[:330]))
        loss = loss + nn.functional.mse_loss(predicted[:, 0], torch.from_numpy(progression[:330]))
        loss.backward()
        optimizer.step()

    for name in ("model", "data"):
        (folder / name).mkdir(parents=True)
    batch = torch.export.Dim("batch")
    program = torch.export.export(model.eval(), tuple(train), dynamic_shapes=({0: batch}, {0: batch}, {0: batch}))
    torch.export.save(program, folder / "model" / "model.pt2")
    signature = {
        "inputs": [
            {"name": "body", "dtype": "FP32", "shape": [-1, len(BODY)]},
            {"name": "blood", "dtype": "FP32", "shape": [-1, len(BLOOD)]},
            {"name": "sex", "dtype": "INT64", "shape": [-1]},
        ],
        "outputs": [
            {"name": "risk", "dtype": "FP32", "shape": [-1, 2]},
            {"name": "progression", "dtype": "FP32", "shape": [-1, 1]},
        ],
    }
    (folder / "model" / "signature.json").write_text(json.dumps(signature))
    np.savez(folder / "data" / "eval.npz", **{name: array[330:] for name, array in arrays.items()}, y=fast[330:])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
