"""Train a small network on tabular features with Horovod: whether a flight arrives more than 15 minutes late."""

import argparse
import json
import os
from pathlib import Path

import horovod.torch as hvd
import numpy as np
import torch
from fairlead_trainer import Progress, save_model
from torch import nn
from torch.nn import functional

SEPARATOR = "__"
"""In the names of features, as fairlead-feature-store joins them; nothing else in the dataset has it."""


class TabularNet(nn.Module):
    """Two hidden layers: one [n, 1] tensor for each feature to [n, 2] logits. It scales its inputs itself."""

    def __init__(self, mean: torch.Tensor, deviation: torch.Tensor, hidden: int) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.layers = nn.Sequential(
            nn.Linear(len(mean), hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 2)
        )

    def forward(self, *columns: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        logits: torch.Tensor = self.layers((torch.cat(columns, dim=1) - self.mean) / self.deviation)
        return logits


def main() -> None:
    """Train, evaluate, save."""
    # In one function, although it is long: a training loop is read from top to bottom.
    arguments = parse_arguments()
    hvd.init()
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(1)
    names, columns, labels = load("train")
    table = torch.cat(columns, dim=1)
    network = TabularNet(table.mean(0), table.std(0) + 1e-6, arguments.hidden)
    optimizer = torch.optim.Adam(network.parameters(), lr=arguments.learning_rate * hvd.size())
    optimizer = hvd.DistributedOptimizer(optimizer, named_parameters=network.named_parameters())
    hvd.broadcast_parameters(network.state_dict(), root_rank=0)
    hvd.broadcast_optimizer_state(optimizer, root_rank=0)

    global_batch = arguments.batch_size * hvd.size()
    steps = len(labels) // global_batch
    progress = Progress(total_steps=steps * arguments.epochs)
    history: list[dict[str, float]] = []
    for epoch in range(arguments.epochs):
        # All processes draw the same order, and each processes its own part of each global batch.
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(arguments.seed + epoch))
        loss = torch.tensor(0.0)
        for step in range(steps):
            batch = order[step * global_batch : (step + 1) * global_batch][hvd.rank() :: hvd.size()]
            optimizer.zero_grad()
            loss = functional.cross_entropy(network(*(column[batch] for column in columns)), labels[batch])
            loss.backward()
            optimizer.step()
            progress.update(epoch * steps + step + 1, epoch=epoch + 1, samples=global_batch, loss=loss.item())
        evaluated = evaluate(network)
        if hvd.rank() == 0:
            print(f"epoch {epoch + 1}/{arguments.epochs} loss {loss.item():.4f} eval loss {evaluated:.4f}")
            history.append({"epoch": epoch + 1, "loss": loss.item(), "evalLoss": evaluated})
            progress.update((epoch + 1) * steps, epoch=epoch + 1, loss=loss.item(), evalLoss=evaluated)

    if hvd.rank() == 0:
        inputs = {name: column[:2] for name, column in zip(names, columns, strict=True)}
        folder = save_model(network, inputs, outputs=["logits"])
        (folder / "history.json").write_text(json.dumps(history))


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=128, help="per process")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="per process")
    parser.add_argument("--hidden", type=int, default=32, help="the width of the hidden layers")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


def load(name: str) -> tuple[list[str], list[torch.Tensor], torch.Tensor]:
    """Load one split of the verified dataset: the features' names, a [n, 1] tensor for each, and the labels."""
    arrays = np.load(Path(os.environ["FAIRLEAD_DATASET_DIR"], f"{name}.npz"))
    names = [key for key in arrays.files if SEPARATOR in key]
    return names, [torch.from_numpy(arrays[key])[:, None] for key in names], torch.from_numpy(arrays["y"])


def evaluate(network: TabularNet) -> float:
    """Return the loss on the eval split; each process evaluates its part."""
    _, columns, labels = load("eval")
    part = slice(hvd.rank(), None, hvd.size())
    with torch.no_grad():
        loss = functional.cross_entropy(network(*(column[part] for column in columns)), labels[part], reduction="sum")
    return float(hvd.allreduce(loss, op=hvd.Sum, name="loss")) / len(labels)


if __name__ == "__main__":
    main()
