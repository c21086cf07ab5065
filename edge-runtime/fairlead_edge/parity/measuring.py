"""Measure a target beside its source: its output values, its classes, and its answers to one example at a time."""

from pathlib import Path
from typing import Any

import numpy as np
from fairlead_contracts.edge_parity import EdgeParity, Golden

from ..errors import BundleRejected, InputUnusable
from ..splits import Split
from ..targets.base import CannotLoad, Session, Target
from ..targets.onnx_session import load_source
from .counting import Classes, Predictions, count, count_groups
from .deviations import Scales, find_scales, relate
from .running import Answers, Floats, run

_GOLDEN = 16
"""How many examples are run one at a time."""


def measure_parity(source: Path, folder: Path, target: Target, split: Split) -> EdgeParity:
    """Run the source and the target's files in a folder.

    Raises InputUnusable if a model cannot run or is no classifier, or if the labels are no classes of it;
    BundleRejected if the target's outputs have other shapes than the source's.
    """
    files = {name: (folder / name).read_bytes() for name in target.files}
    try:
        models = (load_source(source), source.name), (target.load(files, 0), target.name)
    except CannotLoad as error:
        raise InputUnusable(f"{source.name}: {error}") from None
    before, after = (run(session, name, split.examples) for session, name in models)
    _check_source(before, source.name)
    labels = _read_labels(split, before.scores.shape[1])
    differences = _subtract(before, after, target.name)
    predictions = Predictions(labels, before.classes, after.classes)
    scales = find_scales(before)
    return EdgeParity(
        **count(predictions),
        distinct=len(set(split.digests)),
        max_abs_difference=_find_largest(differences),
        mean_abs_difference=_round(np.concatenate([each.ravel() for each in differences.values()]).mean()),
        relative_mean_difference=_round(relate(differences, scales)),
        bytes_before=_size(source),
        bytes_after=sum(map(len, files.values())),
        golden=_run_golden(models, split, scales),
        class_count=len(np.unique(labels)),
        classes=tuple(count_groups("y", labels, predictions)),
        slices=tuple(
            group for name, values in split.slices.items() for group in count_groups(name, values, predictions)
        ),
    )


def _run_golden(models: tuple[tuple[Session, str], tuple[Session, str]], split: Split, scales: Scales) -> Golden:
    """Run examples from all over the split one at a time: what answers right in batches may not do so alone."""
    rows = len(split.examples)
    chosen = np.unique(np.linspace(0, rows - 1, min(rows, _GOLDEN)).astype(int))
    before, after = (run(session, name, split.examples[chosen], alone=True) for session, name in models)
    differences = _subtract(before, after, models[1][1])
    return Golden(
        examples=len(chosen),
        max_abs_difference=_find_largest(differences),
        relative_mean_difference=_round(relate(differences, scales)),
        agreeing=int((before.classes == after.classes).sum()),
    )


def _check_source(answers: Answers, name: str) -> None:
    bad = sum(int((~np.isfinite(values)).sum()) for values in answers.outputs.values())
    if bad:
        raise InputUnusable(f"{name}: returns {bad} values that are infinite or not-a-number, expected finite ones")


def _read_labels(split: Split, classes: int) -> Classes:
    """Return the labels, if each is one of the model's classes; raise InputUnusable."""
    labels = split.labels
    expected = f"an integer from 0 to {classes - 1} for each example, a class of the model"
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise InputUnusable(f"{split.file}: y: got {labels.dtype} of shape {list(labels.shape)}, expected {expected}")
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        raise InputUnusable(f"{split.file}: y: got {wrong[0]} ({len(wrong)} labels out of range), expected {expected}")
    if len(np.unique(labels)) < 2:
        raise InputUnusable(f"{split.file}: y: got class {labels[0]} for every example, expected at least two classes")
    return labels.astype(np.int64)


def _subtract(before: Answers, after: Answers, name: str) -> dict[int, Floats]:
    """Return the differences of the values of each output; raise BundleRejected for other shapes."""
    found = after.outputs
    for place, values in before.outputs.items():
        if place not in found or found[place].shape != values.shape:
            got = list(found[place].shape) if place in found else "none"
            raise BundleRejected(f"{name}: output {place}: got shape {got}, expected the source's {list(values.shape)}")
    with np.errstate(invalid="ignore", over="ignore"):
        return {place: np.abs(values - found[place]) for place, values in before.outputs.items()}


def _find_largest(differences: dict[int, Floats]) -> float:
    return _round(np.max([values.max(initial=0) for values in differences.values()]))


def _round(value: Any) -> float:
    """Keep three digits: the rest is noise that would give equal bundles different digests."""
    return float(f"{value:.3g}")


def _size(file: Path) -> int:
    return sum(path.stat().st_size for path in file.parent.glob(f"{file.name}*"))
