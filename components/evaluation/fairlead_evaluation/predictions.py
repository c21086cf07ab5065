"""What a model predicts for a split: classes, scores per class, and numbers, beside the labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from fairlead_contracts.probabilities import to_probabilities
from fairlead_datasets.errors import Unusable
from fairlead_datasets.onnx_models import find_classes
from fairlead_datasets.splits import Split
from numpy.typing import NDArray


@dataclass(frozen=True)
class Predictions:
    """The labels of examples and what the model predicts for them; None for what it does not predict."""

    labels: NDArray[Any]
    classes: NDArray[Any] | None
    """The predicted classes, of the labels' kind."""
    scores: NDArray[Any] | None
    """A score for each class, `[examples, classes]`: the column of class 2 is column 2."""
    values: NDArray[Any] | None
    """A predicted number for each example."""

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.labels)

    def select(self, chosen: NDArray[Any]) -> "Predictions":
        """Return the predictions for some of the examples."""
        parts = (self.classes, self.scores, self.values)
        classes, scores, values = (None if part is None else part[chosen] for part in parts)
        return replace(self, labels=self.labels[chosen], classes=classes, scores=scores, values=values)


def read_predictions(outputs: Sequence[NDArray[Any]], split: Split) -> Predictions:
    """Read predictions from a model's outputs; raise Unusable without labels, one for each example."""
    labels = split.labels
    if labels is None or labels.ndim != 1:
        got = "no labels" if labels is None else f"shape {list(labels.shape)}"
        raise Unusable(f"y: got {got}, expected a label for each example")
    classes = find_classes(outputs[0], split)
    if classes is not None and (classes.dtype.kind in "biu") != (labels.dtype.kind in "biu"):
        classes = None
    if classes is not None and classes.dtype.kind == "O":
        classes = classes.astype(str)
    return Predictions(labels, classes, _find_scores(outputs, labels), _find_values(outputs[0]))


def _find_scores(outputs: Sequence[NDArray[Any]], labels: NDArray[Any]) -> NDArray[Any] | None:
    """Return the first output with a finite score for each class, if labels are the indices of classes."""
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        return None
    for output in outputs:
        if output.dtype.kind == "f" and output.ndim == 2 and output.shape[1] > max(1, int(labels.max())):
            return to_probabilities(output.astype(np.float64)) if np.isfinite(output).all() else None
    return None


def _find_values(output: NDArray[Any]) -> NDArray[Any] | None:
    if output.dtype.kind in "fiu" and (output.ndim == 1 or output.shape[1:] == (1,)):
        return output.reshape(len(output)).astype(np.float64)
    return None
