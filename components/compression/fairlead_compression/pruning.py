"""Magnitude pruning: the smallest weights become zero and stay zero. Shapes do not change."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

Masks = Mapping[str, Tensor]
"""What each parameter is multiplied by, of its shape: 1 where it is kept, 0 where it is pruned."""
_WEIGHT, _BIAS = "weight", "bias"


def choose_weights(network: nn.Module, share: float) -> Masks:
    """Return masks that prune this share, rounded, of all weights together: those with the smallest magnitude.

    Weights are the floating-point parameters of two dimensions or more; biases and scales of normalizations are kept.
    """
    weights = dict(find_weights(network))
    if not weights:
        return {}
    sizes = torch.cat([weight.detach().abs().flatten() for weight in weights.values()])
    kept = torch.ones_like(sizes)
    kept[sizes.argsort(stable=True)[: round(share * len(sizes))]] = 0  # exact, even where magnitudes are equal
    parts = torch.split(kept, [weight.numel() for weight in weights.values()])
    return {name: part.view_as(weights[name]) for name, part in zip(weights, parts, strict=True)}


def choose_channels(network: nn.Module, share: float, classes: int) -> Masks:
    """Return masks that prune this share, rounded down, of each weight's output channels, whole, with their biases.

    Those with the smallest Euclidean norm go. A weight with a row for each class is kept whole: it may be the last one,
    whose channels are what the model returns.
    """
    masks, parameters = {}, dict(network.named_parameters())
    for name, weight in find_weights(network):
        if len(weight) == classes:
            continue
        pruned = weight.detach().flatten(1).norm(dim=1).argsort(stable=True)[: int(share * len(weight))]
        bias = parameters.get(name.removesuffix(_WEIGHT) + _BIAS)
        for at, parameter in ((name, weight), (name.removesuffix(_WEIGHT) + _BIAS, bias)):
            if parameter is not None and len(parameter) == len(weight):
                masks[at] = torch.ones_like(parameter, requires_grad=False)
                masks[at][pruned] = 0
    return masks


def find_weights(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the parameters that can be pruned, by name."""
    for name, parameter in network.named_parameters():
        if parameter.dim() >= 2 and parameter.is_floating_point():
            yield name, parameter


def apply(network: nn.Module, masks: Masks) -> None:
    """Set what the masks prune to zero."""
    parameters = dict(network.named_parameters())
    with torch.no_grad():
        for name, mask in masks.items():
            parameters[name].mul_(mask)
