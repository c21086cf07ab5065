"""Compare a target's model with its source, on examples that were used for neither training nor calibration."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fairlead_contracts.parity import BundleParity
from numpy.typing import NDArray

from .errors import BundleRejected, InputUnusable
from .splits import Split
from .targets.base import CannotLoad, RunFailed, Session, Target
from .targets.onnx_session import load_source

_BATCH = 256


def build_table(parity: BundleParity) -> str:
    """Return the figures as an aligned table."""
    smaller = f"{parity.bytes_before / parity.bytes_after:.1f} times smaller"
    rows = [
        ("", "source", "bundle", ""),
        (
            "accuracy",
            f"{parity.accuracy_before:.4f}",
            f"{parity.accuracy_after:.4f}",
            f"{parity.examples} held-out examples",
        ),
        ("bytes", f"{parity.bytes_before:,}", f"{parity.bytes_after:,}", smaller),
        ("agreement", "", f"{parity.agreement:.4f}", "the same class"),
        ("difference", "", f"{parity.max_abs_difference:.3g}", "largest, of any output value"),
    ]
    return "".join(f"{name:<12}{before:>12}{after:>12}  {note}".rstrip() + "\n" for name, before, after, note in rows)


def build_comparison(results: Sequence[tuple[str, BundleParity | str]], max_drop: float) -> str:
    """Return a table of targets, with the smallest that is within the limit marked."""
    kept = {
        name: figures.bytes_after
        for name, figures in results
        if not isinstance(figures, str) and not _describe_drop(figures, max_drop)
    }
    best = min(kept, key=lambda name: kept[name]) if kept else None
    head = f"{'target':<20}{'bytes':>12}{'accuracy':>10}{'agreement':>11}{'difference':>12}"
    lines = [head]
    for name, figures in results:
        if isinstance(figures, str):
            lines.append(f"{name:<20}{'':>45}  {figures}")
            continue
        columns = f"{figures.bytes_after:>12,}{figures.accuracy_after:>10.4f}{figures.agreement:>11.4f}"
        note = _describe_drop(figures, max_drop) or ("the smallest" if name == best else "")
        lines.append(f"{name:<20}{columns}{figures.max_abs_difference:>12.3g}  {note}".rstrip())
    return "\n".join(lines) + "\n"


def measure_parity(source: Path, folder: Path, target: Target, split: Split) -> BundleParity:
    """Run the source and the target's files in a folder; raise InputUnusable if one cannot run or is no classifier."""
    files = {name: (folder / name).read_bytes() for name in target.files}
    try:
        before = _run(load_source(source), source.name, split)
        after = _run(target.load(files, 0), target.name, split)
    except CannotLoad as error:
        raise InputUnusable(f"{source.name}: {error}") from None
    classes_before, classes_after = before.argmax(axis=1), after.argmax(axis=1)
    return BundleParity(
        examples=len(split.labels),
        max_abs_difference=float(f"{np.abs(before - after).max():.3g}"),
        agreement=float((classes_before == classes_after).mean()),
        accuracy_before=float((classes_before == split.labels).mean()),
        accuracy_after=float((classes_after == split.labels).mean()),
        bytes_before=_size(source),
        bytes_after=sum(map(len, files.values())),
    )


def check_parity(parity: BundleParity, max_drop: float) -> None:
    """Raise BundleRejected if the accuracy drops by more than `max_drop`, or if output values are not finite."""
    if problem := _describe_drop(parity, max_drop):
        raise BundleRejected(problem)


def _describe_drop(parity: BundleParity, max_drop: float) -> str:
    """Return by how much the accuracy drops, or that values are not finite; empty if the target is good enough."""
    # Count examples, because the difference of two floats is not exact.
    lost = round((parity.accuracy_before - parity.accuracy_after) * parity.examples)
    if lost <= max_drop * parity.examples + 1e-9:
        if math.isfinite(parity.max_abs_difference):
            return ""
        return f"the largest difference of an output value is {parity.max_abs_difference}, expected a finite number"
    return (
        f"accuracy drops from {parity.accuracy_before:.4f} to {parity.accuracy_after:.4f} "
        f"({lost} of {parity.examples} examples), expected a drop of at most {max_drop:g}"
    )


def _run(session: Session, what: str, split: Split) -> NDArray[Any]:
    name = session.inputs[0].name
    starts = range(0, len(split.examples), _BATCH)
    try:
        scores = [session.run({name: split.examples[start : start + _BATCH]})[0] for start in starts]
    except RunFailed as error:
        raise InputUnusable(f"{what}: {session.platform} cannot run it: {error}") from None
    result: NDArray[Any] = np.concatenate(scores)
    if result.ndim != 2 or result.shape[1] < 2:
        raise InputUnusable(f"{what}: returns shape {list(result.shape)}, expected a score per class")
    return result


def _size(file: Path) -> int:
    return sum(path.stat().st_size for path in file.parent.glob(f"{file.name}*"))
