"""Train a small convolutional network on the digits with Horovod; rank 0 reports progress and saves the model."""

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

SCALE = 16.0
"""The network expects values of 0 to 1; a served graph scales them with a transformer."""


class DigitNet(nn.Module):
    """Two convolutions and two linear layers: [n, 1, 8, 8] to [n, 10] logits."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(32 * 4 * 4, hidden), nn.ReLU(), nn.Linear(hidden, 10))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        logits: torch.Tensor = self.classifier(self.features(image))
        return logits


def main() -> None:
    """Train, evaluate, save."""
    # In one function, although it is long: a training loop is read from top to bottom.
    arguments = parse_arguments()
    hvd.init()
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(1)
    train_images, train_labels = load("train")
    network = DigitNet(arguments.hidden)
    optimizer = torch.optim.Adam(network.parameters(), lr=arguments.learning_rate * hvd.size())
    optimizer = hvd.DistributedOptimizer(optimizer, named_parameters=network.named_parameters())
    hvd.broadcast_parameters(network.state_dict(), root_rank=0)
    hvd.broadcast_optimizer_state(optimizer, root_rank=0)

    global_batch = arguments.batch_size * hvd.size()
    steps = len(train_images) // global_batch
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps * arguments.epochs)
    history: list[dict[str, float]] = []
    evaluated: dict[str, float] = {}
    progress = Progress(total_steps=steps * arguments.epochs)
    for epoch in range(arguments.epochs):
        # All processes draw the same order, and each processes its own part of each global batch.
        order = torch.randperm(len(train_images), generator=torch.Generator().manual_seed(arguments.seed + epoch))
        loss = torch.tensor(0.0)
        for step in range(steps):
            batch = order[step * global_batch : (step + 1) * global_batch][hvd.rank() :: hvd.size()]
            optimizer.zero_grad()
            loss = functional.cross_entropy(network(train_images[batch]), train_labels[batch])
            loss.backward()
            optimizer.step()
            schedule.step()
            done = epoch * steps + step + 1
            history.append({"step": done, "loss": loss.item()})
            progress.update(done, epoch=epoch + 1, samples=global_batch, loss=loss.item(), **evaluated)
        accuracy = evaluate(network)
        evaluated = {"evalAccuracy": accuracy}
        if hvd.rank() == 0:
            print(f"epoch {epoch + 1}/{arguments.epochs} loss {loss.item():.4f} eval accuracy {accuracy:.4f}")
            history[-1]["evalAccuracy"] = accuracy
            progress.update(done, epoch=epoch + 1, loss=loss.item(), evalAccuracy=accuracy)

    if hvd.rank() == 0:
        folder = save_model(network, {"image": train_images[:2]}, outputs=["logits"])
        (folder / "history.json").write_text(json.dumps(history))


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=32, help="per process")
    parser.add_argument("--learning-rate", type=float, default=1.5e-3, help="per process, at the start")
    parser.add_argument("--hidden", type=int, default=64, help="the width of the hidden layer")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


def load(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Load one split of the verified dataset, scaled for the network."""
    arrays = np.load(Path(os.environ["FAIRLEAD_DATASET_DIR"], f"{name}.npz"))
    return torch.from_numpy(arrays["x"]) / SCALE, torch.from_numpy(arrays["y"])


def evaluate(network: nn.Module) -> float:
    """Return the accuracy on the eval split; each process evaluates its part."""
    images, labels = load("eval")
    part = slice(hvd.rank(), None, hvd.size())
    with torch.no_grad():
        right = (network(images[part]).argmax(1) == labels[part]).sum()
    return float(hvd.allreduce(right.float(), op=hvd.Sum, name="right")) / len(labels)


if __name__ == "__main__":
    main()
