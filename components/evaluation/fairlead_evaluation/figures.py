"""The figures of a model card, collected."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fairlead_datasets.errors import Unusable

from .metrics import METRICS, find_interval, measure, measure_calibration
from .predictions import Predictions
from .slices import Gap, SliceFigures, find_gaps, measure_slices

MAX_CLASSES = 50
"""The most classes that the card shows one by one."""


@dataclass(frozen=True)
class Figures:
    """What was measured."""

    metric: str
    value: float
    examples: int
    interval: tuple[float, float] | None
    """Of the accuracy, with 95 % confidence."""
    others: dict[str, float]
    """The other metrics that the model's outputs define."""
    calibration_error: float | None
    slices: tuple[SliceFigures, ...]
    gaps: dict[str, Gap]
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    """A row for each class of the labels, a column for each predicted class; empty without classes, or with many."""
    predictions: Predictions
    """What the plots show."""

    def to_json(self) -> dict[str, Any]:
        """Return what card.json holds beside the card."""
        return {
            "interval": self.interval,
            "metrics": {self.metric: self.value} | self.others,
            "calibration_error": self.calibration_error,
            "slices": [asdict(each) for each in self.slices],
            "gaps": {array: asdict(gap) for array, gap in self.gaps.items()},
            "classes": self.classes,
            "confusion": self.confusion,
        }


def collect(predictions: Predictions, metric: str, file: Path, slices: tuple[str, ...], min_examples: int) -> Figures:
    """Measure everything that the predictions define; raise Unusable if they do not define the success metric."""
    value = measure(metric, predictions)
    if value is None:
        raise Unusable(f"{metric}: is not defined for these {len(predictions)} examples, expected several classes")
    measured = measure_slices(file, slices, metric, predictions)
    classes, confusion = _count_confusion(predictions)
    return Figures(
        metric=metric,
        value=value,
        examples=len(predictions),
        interval=find_interval(metric, predictions),
        others=_measure_others(metric, predictions),
        calibration_error=measure_calibration(predictions),
        slices=measured,
        gaps=find_gaps(measured, min_examples),
        classes=classes,
        confusion=confusion,
        predictions=predictions,
    )


def _measure_others(metric: str, predictions: Predictions) -> dict[str, float]:
    """Return the metrics of the same kind: of classes, or else of numbers."""
    classified = predictions.classes is not None or predictions.scores is not None
    names = ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc_ovr")
    found = {}
    for name in METRICS:
        if name == metric or (name in names) != classified:
            continue
        try:
            value = measure(name, predictions)
        except Unusable:
            continue
        if value is not None:
            found[name] = value
    return found


def _count_confusion(predictions: Predictions) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
    if predictions.classes is None:
        return (), ()
    names = np.unique(np.concatenate([predictions.labels, predictions.classes]))
    if len(names) > MAX_CLASSES:
        return (), ()
    rows, columns = np.searchsorted(names, predictions.labels), np.searchsorted(names, predictions.classes)
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (rows, columns), 1)
    return tuple(str(name) for name in names), tuple(tuple(int(count) for count in row) for row in counts)
