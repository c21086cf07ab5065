"""What a model process counts of its requests: classes, confidence, and drift from the training data. Bounded."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from fairlead_contracts.probabilities import to_probabilities
from fairlead_contracts.tensors import Array

MAX_CLASSES = 500
"""Classes after these are counted together."""
CONFIDENCES = 10
"""The bins of the confidence, of equal width from 0 to 1."""


class Drift(Protocol):
    """Counts inputs by the bins of the training data."""

    def add(self, inputs: Mapping[str, Array]) -> None:
        """Count the rows of a request."""

    def take(self) -> dict[str, Any]:
        """Return how far each input is from the training data, and begin anew."""


class Sketch:
    """The counts since they were taken last."""

    def __init__(self, drift: Drift | None) -> None:
        self._drift = drift
        self._lock = threading.Lock()
        self._clear()

    def add(self, inputs: Mapping[str, Array], outputs: Sequence[Array]) -> None:
        """Count a request's rows: the model's inputs, and its outputs, of which the first may have scores."""
        with self._lock:
            self._rows += len(outputs[0]) if outputs[0].ndim else 1
            if self._drift is not None:
                self._drift.add(inputs)
            scores = outputs[0]
            if scores.dtype.kind == "f" and scores.ndim == 2 and scores.shape[1] > 1:
                self._add_scores(scores.astype(np.float64))

    def take(self) -> dict[str, Any]:
        """Return the counts as a JSON object, and begin anew."""
        with self._lock:
            found = {
                "rows": self._rows,
                "classes": {str(place): int(self._classes[place]) for place in np.flatnonzero(self._classes)},
                "confidence": self._confidence.tolist(),
                "drift": self._drift.take() if self._drift is not None else {},
            }
            self._clear()
        return found

    def _clear(self) -> None:
        self._rows = 0
        self._classes = np.zeros(MAX_CLASSES + 1, np.int64)
        self._confidence = np.zeros(CONFIDENCES, np.int64)

    def _add_scores(self, scores: "np.ndarray[Any, np.dtype[np.float64]]") -> None:
        finite = scores[np.isfinite(scores).all(axis=1)]
        if not len(finite):
            return
        self._classes += np.bincount(np.minimum(finite.argmax(axis=1), MAX_CLASSES), minlength=MAX_CLASSES + 1)
        best = to_probabilities(finite).max(axis=1)
        places = np.minimum((best * CONFIDENCES).astype(int), CONFIDENCES - 1)
        self._confidence += np.bincount(places, minlength=CONFIDENCES)
