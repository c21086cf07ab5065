"""A text model on INT64 tokens, of any number and length: writes model/ and data/ into the folder that is named.

Needs torch; nothing of Fairlead.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

GOOD, BAD = ["good", "great", "fine", "tasty"], ["bad", "awful", "cold", "slow"]
WORDS = ["<pad>", "the", "food", "was", "service", "and", *GOOD, *BAD]
LENGTH = 12


class Reviews(nn.Module):
    """Embeds the words, weighs them with their neighbors, and takes the mean: [n, length] tokens to [n, 2] scores."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(WORDS), 16, padding_idx=0)
        self.neighbours = nn.Conv1d(16, 16, 3, padding=1)
        self.scores = nn.Linear(16, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the scores of bad and good."""
        known = (tokens != 0).unsqueeze(-1).float()
        words = torch.relu(self.neighbours(self.embedding(tokens).transpose(1, 2))).transpose(1, 2)
        mean = (words * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)
        scores: torch.Tensor = self.scores(mean)
        return scores


def write_reviews(count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return tokens and labels of reviews such as `the food was very good`, padded with 0."""
    tokens, labels = np.zeros((count, LENGTH), np.int64), generator.integers(0, 2, count)
    for row, label in zip(tokens, labels, strict=True):
        praise = generator.choice(GOOD if label else BAD, 2)
        text = f"the food was {praise[0]} and the service was {praise[1]}".split()[: generator.choice([4, 9])]
        row[: len(text)] = [WORDS.index(word) for word in text]
    return tokens, labels


def main(folder: Path) -> None:
    """Train on made-up reviews, and keep others for the comparison."""
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    tokens, labels = (torch.from_numpy(array) for array in write_reviews(400, generator))
    model = Reviews()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(tokens), labels).backward()
        optimizer.step()

    for name in ("model", "data"):
        (folder / name).mkdir(parents=True)
    free = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", min=2)}
    program = torch.export.export(model.eval(), (tokens[:2],), dynamic_shapes=(free,))
    torch.export.save(program, folder / "model" / "model.pt2")
    signature = {
        "inputs": [{"name": "tokens", "dtype": "INT64", "shape": [-1, -1]}],
        "outputs": [{"name": "scores", "dtype": "FP32", "shape": [-1, 2]}],
    }
    (folder / "model" / "signature.json").write_text(json.dumps(signature))
    tokens_of_others, labels_of_others = write_reviews(100, generator)
    np.savez(folder / "data" / "eval.npz", tokens=tokens_of_others, y=labels_of_others)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
