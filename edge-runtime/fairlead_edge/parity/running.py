"""Run models on examples: in batches, and one at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from fairlead_contracts.tensors import DTYPES, TensorSpec
from numpy.typing import NDArray

from ..errors import InputUnusable
from ..targets.base import RunFailed, Session

_BATCH = 256

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """A model's floating-point outputs for some examples."""

    scores: Floats
    """The first output: a row for each example, with a score for each class."""
    others: dict[int, Floats]
    """The other outputs, by their place, each with at least two axes."""

    @property
    def classes(self) -> NDArray[np.int64]:
        """The predicted class of each example."""
        found: NDArray[np.int64] = self.scores.argmax(axis=1).astype(np.int64)
        return found

    @property
    def outputs(self) -> dict[int, Floats]:
        """All outputs, by their place."""
        return {0: self.scores, **self.others}


def run(session: Session, what: str, examples: NDArray[Any], alone: bool = False) -> Answers:
    """Return a model's answers, to one example at a time if `alone`.

    Raises InputUnusable, which calls the model `what`, if it cannot run, or does not return scores.
    """
    size = 1 if alone else _find_batch(session, what)
    name = session.inputs[0].name
    examples = _convert(examples, session.inputs[0], what)
    parts = []
    for start in range(0, len(examples), size):
        batch = examples[start : start + size]
        try:
            outputs = session.run({name: batch})
        except RunFailed as error:
            at = " on one example" if len(batch) == 1 else ""
            raise InputUnusable(f"{what}: {session.platform} cannot run it{at}: {error}") from None
        _check_tensors(outputs, what)
        _check_scores(outputs[0], len(batch), what)
        parts.append(outputs)
    scores, *others = zip(*parts, strict=True)
    return Answers(
        np.concatenate(scores).astype(np.float64),
        {place: _join(batches) for place, batches in enumerate(others, 1) if batches[0].dtype.kind == "f"},
    )


def _join(batches: Sequence[NDArray[Any]]) -> Floats:
    """Return an output for all batches; it has a single column if its shape depends on more than their lengths."""
    if len({batch.shape[1:] for batch in batches}) > 1 or batches[0].ndim < 2:
        batches = [batch.reshape(-1, 1) for batch in batches]
    return np.concatenate(batches).astype(np.float64)


def _find_batch(session: Session, what: str) -> int:
    """Return how many examples the model accepts at a time."""
    if len(session.inputs) != 1:
        names = ", ".join(spec.name for spec in session.inputs)
        raise InputUnusable(f"{what}: inputs: got {len(session.inputs)} ({names}), expected one")
    rows = session.inputs[0].shape[0] if session.inputs[0].shape else -1
    if rows not in (-1, 1):
        name = session.inputs[0].name
        raise InputUnusable(f"{what}: input {name}: got batches of {rows} alone, expected batches of any size, or of 1")
    return _BATCH if rows < 0 else 1


def _convert(examples: NDArray[Any], spec: TensorSpec, what: str) -> NDArray[Any]:
    """Return the examples in the input's type, if that is an integer one, as of the tokens of a text."""
    kind = DTYPES.get(spec.datatype)
    if kind is None or kind.kind not in "iu":
        return examples
    converted = examples.astype(kind)
    if not np.array_equal(converted, examples):
        raise InputUnusable(f"{what}: input {spec.name}: got values with a fraction, expected {spec.datatype}")
    return converted


def _check_tensors(outputs: Sequence[Any], what: str) -> None:
    """Raise InputUnusable for outputs that are no tensors, such as the sequence of maps of a classifier of tables."""
    for place, output in enumerate(outputs):
        if not isinstance(output, np.ndarray):
            raise InputUnusable(f"{what}: output {place}: got a {type(output).__name__}, expected a tensor")


def _check_scores(scores: NDArray[Any], rows: int, what: str) -> None:
    if scores.dtype.kind != "f" or scores.ndim != 2 or len(scores) != rows or scores.shape[1] < 2:
        got = f"{scores.dtype} of shape {list(scores.shape)} for {rows} examples"
        raise InputUnusable(f"{what}: returns {got}, expected a score per class")
