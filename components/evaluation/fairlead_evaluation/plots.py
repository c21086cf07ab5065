"""The plots of a model card, as SVG for its HTML page."""

import io
from collections.abc import Callable, Iterator

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.calibration import calibration_curve  # type: ignore[import-untyped]
from sklearn.metrics import roc_curve  # type: ignore[import-untyped]

from .figures import Figures

_MAX_CURVES = 10
_MAX_CELLS = 20
"""Up to so many classes, the cells of the confusion matrix show their counts."""
_POINTS = 2000


def build_plots(figures: Figures) -> str:
    """Return one SVG with every plot that the figures allow; empty if there is none."""
    drawers = list(_choose(figures))
    if not drawers:
        return ""
    # equal cards are equal files: no random identifiers, no date
    with mpl.rc_context({"svg.hashsalt": "fairlead", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure = Figure(figsize=(5 * len(drawers), 4.6), layout="constrained")
        for place, draw in enumerate(drawers, start=1):
            draw(figure.add_subplot(1, len(drawers), place), figures)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def _choose(figures: Figures) -> Iterator[Callable[[Axes, Figures], None]]:
    if figures.confusion:
        yield _draw_confusion
    if figures.predictions.scores is not None and len(np.unique(figures.predictions.labels)) > 1:
        yield _draw_roc
        yield _draw_calibration
    if figures.predictions.classes is None and figures.predictions.values is not None:
        yield _draw_values


def _draw_confusion(axes: Axes, figures: Figures) -> None:
    counts = np.array(figures.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    places = range(len(figures.classes))
    axes.set_xticks(places, figures.classes, rotation=90 if len(figures.classes) > _MAX_CELLS else 0)
    axes.set_yticks(places, figures.classes)
    if len(figures.classes) <= _MAX_CELLS:
        for row, column in zip(*np.nonzero(counts), strict=True):
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=color, fontsize=8)
    axes.set(title="Confusion", xlabel="predicted", ylabel="label")


def _draw_roc(axes: Axes, figures: Figures) -> None:
    labels, scores = figures.predictions.labels, figures.predictions.scores
    assert scores is not None
    for label in [int(each) for each in np.unique(labels)][:_MAX_CURVES]:
        false, true, _ = roc_curve(labels == label, scores[:, label])
        axes.plot(false, true, label=str(label), linewidth=1.2)
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", linewidth=1)
    axes.legend(title="class", fontsize=7)
    axes.set(title="ROC, each class against the others", xlabel="false positive rate", ylabel="true positive rate")


def _draw_calibration(axes: Axes, figures: Figures) -> None:
    labels, scores = figures.predictions.labels, figures.predictions.scores
    assert scores is not None
    right = scores.argmax(axis=1) == labels
    accuracy, confidence = calibration_curve(right, np.clip(scores.max(axis=1), 0, 1), n_bins=10)
    axes.plot(confidence, accuracy, marker="o")
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", linewidth=1)
    title = f"Calibration, expected error {figures.calibration_error or 0:.3f}"
    axes.set(title=title, xlabel="confidence", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02))


def _draw_values(axes: Axes, figures: Figures) -> None:
    labels, values = figures.predictions.labels, figures.predictions.values
    assert values is not None
    step = max(1, len(labels) // _POINTS)
    axes.scatter(labels[::step], values[::step], s=8, alpha=0.5)
    ends = [float(min(labels.min(), values.min())), float(max(labels.max(), values.max()))]
    axes.plot(ends, ends, color="0.7", linestyle="--", linewidth=1)
    axes.set(title="Predictions", xlabel="label", ylabel="predicted")
