"""The evaluation: measures a model on a split of a dataset and publishes its model card."""

__version__ = "0.1.0"
