"""A node in Python: a class for Seldon's wrapper, whose methods are called by the graph server."""

import numpy as np


class Scaler:
    """Multiplies numbers; `factor` is a parameter of the node."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    def transform_input(self, X: np.ndarray, features_names: list[str]) -> np.ndarray:  # noqa: ARG002
        """Return the numbers for the model."""
        return X * self.factor
