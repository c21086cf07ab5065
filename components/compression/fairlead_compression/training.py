"""The training loop that distillation and pruning share."""

import math
from collections.abc import Callable, Sequence

import torch
from fairlead_datasets.errors import Unusable
from torch import Tensor, nn

from .classifiers import run
from .recipe import Training

Loss = Callable[[Tensor, Tensor], Tensor]
"""(the scores for a batch, the batch's rows in the split) -> a number."""


def train(
    network: nn.Module,
    inputs: Sequence[Tensor],
    loss: Loss,
    training: Training,
    after_step: Callable[[], None] = lambda: None,
) -> None:
    """Train with Adam and a learning rate that falls to zero along a cosine; raise Unusable if the loss is not finite.

    The seed determines the order of the examples: on one machine's CPU, equal calls give equal weights.
    """
    order = torch.Generator().manual_seed(training.seed)
    parameters = [parameter.requires_grad_() for parameter in network.parameters() if parameter.is_floating_point()]
    optimizer = torch.optim.Adam(parameters, lr=training.learning_rate)
    rows = len(inputs[0])
    steps = math.ceil(rows / training.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps * training.epochs)
    for epoch in range(training.epochs):
        for batch in torch.split(torch.randperm(rows, generator=order), training.batch_size):
            optimizer.zero_grad()
            value = loss(run(network, [tensor[batch] for tensor in inputs]), batch)
            if not torch.isfinite(value):
                raise Unusable(
                    f"recipe: learningRate: got {training.learning_rate:g}, with which the loss is {value.item()} in "
                    f"epoch {epoch + 1}, expected one with which it stays finite"
                )
            value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            after_step()
