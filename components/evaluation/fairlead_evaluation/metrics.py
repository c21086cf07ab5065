"""The metrics by which a model may succeed, under scikit-learn's names: more is better."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from fairlead_contracts.binomial import bound_between
from fairlead_datasets.errors import Unusable
from numpy.typing import NDArray
from sklearn import metrics  # type: ignore[import-untyped]

from .predictions import Predictions

_CONFIDENCE = 0.95
Measure = Callable[[Predictions], float | None]


def measure(name: str, predictions: Predictions) -> float | None:
    """Return a metric, None if these examples do not define it; raise Unusable if the model's outputs do not."""
    value = METRICS[name](predictions)
    return None if value is None or not np.isfinite(value) else round(float(value), 6)


def find_interval(name: str, predictions: Predictions) -> tuple[float, float] | None:
    """Return the interval that has the accuracy with 95 % confidence (Clopper and Pearson); None for other metrics."""
    if name != "accuracy":
        return None
    right = int((_classes(predictions) == predictions.labels).sum())
    low, high = bound_between(right, len(predictions), _CONFIDENCE)
    return round(low, 6), round(high, 6)


def measure_calibration(predictions: Predictions, bins: int = 10) -> float | None:
    """Return the expected calibration error: by how much confidence and accuracy differ, over bins of confidence.

    M. P. Naeini, G. F. Cooper and M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI
    2015. None without scores.
    """
    if predictions.scores is None:
        return None
    confidence = predictions.scores.max(axis=1)
    right = predictions.scores.argmax(axis=1) == predictions.labels
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = (abs(float((confidence[place == b] - right[place == b]).sum())) for b in np.unique(place))
    return round(sum(gaps) / len(predictions), 6)


def find_roc_curve(predictions: Predictions, most: int = 100) -> tuple[list[float], list[float], list[float]]:
    """Return rates of false and of true positives, and thresholds, of the second of two classes; empty without them.

    At most about `most` of the points, evenly spread: the curve is shown, not measured.
    """
    labels, scores = predictions.labels, predictions.scores
    if scores is None or scores.shape[1] != 2 or len(np.unique(labels)) != 2:
        return [], [], []
    false, true, thresholds = metrics.roc_curve(labels == 1, scores[:, 1])
    chosen = np.unique(np.linspace(0, len(false) - 1, min(most, len(false))).astype(int))
    # scikit-learn begins with an infinite threshold, which is no JSON
    bounded = np.clip(thresholds, 0.0, 1.0)
    return tuple([round(float(value), 6) for value in part[chosen]] for part in (false, true, bounded))  # type: ignore[return-value]


def _classes(predictions: Predictions) -> NDArray[Any]:
    if predictions.classes is None:
        raise Unusable("the model predicts no classes of the labels' kind, expected a metric of numbers (--metric r2)")
    return predictions.classes


def _values(predictions: Predictions) -> tuple[NDArray[Any], NDArray[Any]]:
    if predictions.values is None or predictions.labels.dtype.kind not in "fiub":
        raise Unusable(
            "the model predicts no number for each example, expected a metric of classes (--metric accuracy)"
        )
    return predictions.labels.astype(np.float64), predictions.values


def _accuracy(predictions: Predictions) -> float:
    return float((_classes(predictions) == predictions.labels).mean())


def _balanced_accuracy(predictions: Predictions) -> float:
    return float(
        metrics.recall_score(*_pair(predictions), average="macro", zero_division=0, labels=_found(predictions))
    )


def _f1_macro(predictions: Predictions) -> float:
    return float(metrics.f1_score(*_pair(predictions), average="macro", zero_division=0, labels=_found(predictions)))


def _roc_auc_ovr(predictions: Predictions) -> float | None:
    """Return the mean over the classes, each against the others; of classes that are all or none there is no curve."""
    if predictions.scores is None:
        raise Unusable("the model has no finite score for each class, expected one output with them for roc_auc_ovr")
    found = [int(label) for label in np.unique(predictions.labels)]
    if len(found) < 2:
        return None
    curves = (metrics.roc_auc_score(predictions.labels == label, predictions.scores[:, label]) for label in found)
    return float(np.mean(list(curves)))


def _r2(predictions: Predictions) -> float | None:
    return float(metrics.r2_score(*_values(predictions))) if len(predictions) > 1 else None


def _neg_mean_absolute_error(predictions: Predictions) -> float:
    return -float(metrics.mean_absolute_error(*_values(predictions)))


def _neg_root_mean_squared_error(predictions: Predictions) -> float:
    return -float(metrics.root_mean_squared_error(*_values(predictions)))


def _pair(predictions: Predictions) -> tuple[NDArray[Any], NDArray[Any]]:
    return predictions.labels, _classes(predictions)


def _found(predictions: Predictions) -> NDArray[Any]:
    """Return the classes that the labels have: one that is only predicted counts as an error of another."""
    return np.unique(predictions.labels)


METRICS: Mapping[str, Measure] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "f1_macro": _f1_macro,
    "roc_auc_ovr": _roc_auc_ovr,
    "r2": _r2,
    "neg_mean_absolute_error": _neg_mean_absolute_error,
    "neg_root_mean_squared_error": _neg_root_mean_squared_error,
}
