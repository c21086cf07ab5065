"""The network that estimates a house's price."""

from torch import nn


def build_network(features: int) -> nn.Module:
    """Return two small layers."""
    return nn.Sequential(nn.Linear(features, 32), nn.ReLU(), nn.Linear(32, 1))
