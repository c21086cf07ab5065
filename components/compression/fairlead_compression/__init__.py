"""Compression: smaller models by distillation and pruning, published only if they are accurate enough."""

__version__ = "0.1.0"
