"""A Seldon component of each kind for the tests: numbers times a factor, a router and a mean of several answers."""

import numpy as np


class Affine:
    """Multiplies by `factor`; rejects negative numbers, so that tests can trigger failures."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    def predict(self, X: np.ndarray, features_names: list[str]) -> np.ndarray:
        return self._apply(X)

    def transform_input(self, X: np.ndarray, features_names: list[str]) -> np.ndarray:
        return self._apply(X)

    def transform_output(self, X: np.ndarray, features_names: list[str]) -> np.ndarray:
        return self._apply(X)

    def route(self, features: np.ndarray, feature_names: list[str]) -> int:
        """Send small numbers to the first child, large ones to the second."""
        return int(np.mean(features) >= 10)

    def aggregate(self, features_list: list[np.ndarray], feature_names_list: list[list[str]]) -> np.ndarray:
        return np.mean(features_list, axis=0)

    def tags(self) -> dict[str, float]:
        return {"factor": self.factor}

    def _apply(self, values: np.ndarray) -> np.ndarray:
        if np.any(values < 0):
            raise ValueError("negative numbers are not for me")
        return values * self.factor
