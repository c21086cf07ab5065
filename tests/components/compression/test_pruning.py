"""Pruning of tiny networks whose weights are known."""

import pytest
import torch
from fairlead_compression import pruning
from torch import nn


def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 3))


def zeros(module: nn.Module) -> int:
    return sum(int((weight == 0).sum()) for _, weight in pruning.find_weights(module))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_share_of_pruned_weights_is_exact(share: float) -> None:
    pruned = network()
    total = sum(weight.numel() for _, weight in pruning.find_weights(pruned))
    pruning.apply(pruned, pruning.choose_weights(pruned, share))
    assert total == 36 + 96 + 18
    assert zeros(pruned) == round(share * total)
    assert all((parameter != 0).all() for name, parameter in pruned.named_parameters() if name.endswith("bias"))


def test_the_smallest_weights_of_the_whole_network_are_pruned() -> None:
    before, after = network(), network()
    pruning.apply(after, pruning.choose_weights(after, 0.5))
    pairs = list(zip(before.parameters(), after.parameters(), strict=True))
    gone = torch.cat([old[new == 0].abs() for old, new in pairs if old.dim() > 1])
    kept = torch.cat([old[new != 0].abs() for old, new in pairs if old.dim() > 1])
    assert gone.max() < kept.min()


def test_equal_weights_are_pruned_to_the_exact_share() -> None:
    layer = nn.Linear(10, 1)
    nn.init.constant_(layer.weight, 0.5)
    pruning.apply(layer, pruning.choose_weights(layer, 0.3))
    assert zeros(layer) == 3


def test_structured_pruning_zeroes_whole_channels_and_keeps_shapes_and_the_last_layer() -> None:
    before, after = network(), network()
    pruning.apply(after, pruning.choose_channels(after, 0.5, classes=3))
    assert [p.shape for p in after.parameters()] == [p.shape for p in before.parameters()]
    for old, new, channels in ((before[0], after[0], 2), (before[3], after[3], 3)):
        norms = old.weight.flatten(1).norm(dim=1)
        gone = (new.weight.flatten(1) == 0).all(dim=1)
        assert gone.sum() == channels
        assert (new.weight[~gone] == old.weight[~gone]).all() and (new.bias[gone] == 0).all()
        assert norms[gone].max() < norms[~gone].min()
    assert (after[5].weight == before[5].weight).all()


def test_a_channel_that_is_zeroed_returns_nothing() -> None:
    pruned = network()
    masks = pruning.choose_channels(pruned, 0.25, classes=3)
    pruning.apply(pruned, masks)
    (channel,) = (masks["0.bias"] == 0).nonzero().flatten().tolist()
    assert (pruned[0](torch.randn(2, 1, 4, 4))[:, channel] == 0).all()
