"""What a model accepts and returns, collected on the way and counted in a thread of its own.

A request pays for a copy of its columns. They are counted when there are enough of them that numpy's calls cost little
for each, or when the slice of time ends. What waits is bounded: beyond it, requests are skipped, and their rows counted
as such.
"""

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from pathlib import Path

from fairlead_contracts.base import to_line
from fairlead_contracts.binning import Binning
from fairlead_contracts.errors import ContractError, Words
from fairlead_contracts.graph import Monitor
from fairlead_contracts.monitor import MAX_PROBLEM, NodeFacts
from fairlead_contracts.reference import FILE, Reference, TensorReference
from fairlead_contracts.tensors import Array, TensorSpec

from ..models import ModelFile
from ..tensors import Signature
from .counting import SLICES, Batch, Key, ModelCounts

_log = logging.getLogger(__name__)
_BATCH_ROWS, _BATCH_BYTES = 256, 1 << 20
MAX_WAITING_BYTES = 8 << 20
"""Beyond it, no more is collected; the last request may exceed it."""
_TEXT_BYTES = 600
"""A text of MAX_TEXT characters of any alphabet."""


class Observer:
    """Observes one model."""

    def __init__(
        self, node: str, digest: str, reference: Reference, settings: Monitor, executor: Executor,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.node, self.digest = node, digest
        self.counts = ModelCounts(reference)
        self._inputs, self._outputs = (
            {key[1]: (key, binning) for key, binning in self.counts.binnings.items() if key[0] == side}
            for side in ("input", "output")
        )
        self._executor, self._clock = executor, clock
        self._share = (settings.sample_percent or 100) / 100
        self._slice_seconds = settings.window_seconds / SLICES
        self._batch = Batch(self._now())
        self._collected = self._counted = 0
        """Bytes that were collected, in the event loop, and counted, in the thread."""
        self._skipped: deque[tuple[int, int]] = deque()
        """The slices in which rows were skipped, and how many."""
        self.total_skipped = 0

    def observe(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        """Collect a request that was answered."""
        if self._share < 1 and random.random() >= self._share:
            return
        now = self._now()
        if now != self._batch.slice:
            self._submit(now)
        first = next(iter(inputs.values()), None)
        rows = first.shape[0] if first is not None and first.ndim else 1
        if self._collected - self._counted > MAX_WAITING_BYTES:
            self._skip(rows, now)
            return
        batch = self._batch
        try:
            self._collect(batch, self._inputs, inputs)
            self._collect(batch, self._outputs, outputs)
        except MemoryError:  # the client's request has been answered all the same
            self._skip(rows, now)
            return
        batch.rows += rows
        if batch.rows >= _BATCH_ROWS or batch.size >= _BATCH_BYTES:
            self._submit(now)

    def read(self) -> Future[NodeFacts]:
        """Return what was counted until now, once the thread has counted it."""
        now = self._now()
        self._submit(now)
        while self._skipped and self._skipped[0][0] < now - SLICES:
            self._skipped.popleft()
        return self._executor.submit(self._describe, now, sum(rows for _, rows in self._skipped))

    def _collect(self, batch: Batch, known: Mapping[str, tuple[Key, Binning]], tensors: Mapping[str, Array]) -> None:
        for name, array in tensors.items():
            if (found := known.get(name)) is None:
                continue
            key, binning = found
            if (columns := binning.pick(array)) is None:
                continue
            if (parts := batch.parts.get(key)) is None:
                parts = batch.parts[key] = []
            parts.append(columns)
            size = columns.size * _TEXT_BYTES if binning.has_text else columns.nbytes
            batch.size += size
            self._collected += size

    def _skip(self, rows: int, now: int) -> None:
        self.total_skipped += rows
        if self._skipped and self._skipped[-1][0] == now:
            rows += self._skipped.pop()[1]
        self._skipped.append((now, rows))
        if len(self._skipped) > SLICES + 1:
            self._skipped.popleft()

    def _submit(self, now: int) -> None:
        """Let the thread count what was collected, and begin anew."""
        batch, self._batch = self._batch, Batch(now)
        if batch.parts or batch.rows:  # a request may have an input without a row, and yet outputs
            self._executor.submit(self._count, batch).add_done_callback(_log_failure)

    def _count(self, batch: Batch) -> None:
        try:
            self.counts.add(batch)
        finally:
            self._counted += batch.size

    def _describe(self, now: int, skipped: int) -> NodeFacts:
        rows, tensors = self.counts.sum_window(now)
        return NodeFacts(
            node=self.node, digest=self.digest, reference_rows=self.counts.reference.rows, rows=rows,
            skipped=skipped, tensors=tensors,
        )  # fmt: skip

    def _now(self) -> int:
        """Return the number of the slice of time."""
        return int(self._clock() / self._slice_seconds)


def read_reference(model: ModelFile, signature: Signature, slots: int) -> Reference:
    """Return the reference beside a model's file, of at most `slots`; raise ContractError, or OSError."""
    with model.path.with_name(FILE).open("rb") as file:
        reference = Reference.parse_json(file.read(Reference.max_bytes + 1), FILE)
    if (found := reference.count_slots()) > slots:
        raise ContractError(FILE, Words(f"{found} bins and categories"), f"at most {slots} beside the other models'")
    for side, tensors, specs in (
        ("inputs", reference.inputs, signature.inputs), ("outputs", reference.outputs, signature.outputs),
    ):  # fmt: skip
        for tensor in tensors:
            _check(tensor, specs, f"{FILE}: {side}.{tensor.name}")
    return reference


def describe_problem(error: ContractError | OSError, path: Path) -> str:
    """Return why a reference cannot be used, as one line."""
    if isinstance(error, FileNotFoundError):
        return f"there is no {FILE} beside {path.name}"
    text = str(error) if isinstance(error, ContractError) else f"{FILE}: {error.strerror}"
    return to_line(text, MAX_PROBLEM)


def _check(tensor: TensorReference, specs: tuple[TensorSpec, ...], at: str) -> None:
    """Raise ContractError unless a model has the tensor."""
    spec = next((spec for spec in specs if spec.name == tensor.name), None)
    if spec is None:
        raise ContractError(at, Words("it"), f"one of {', '.join(spec.name for spec in specs)}"[:200])
    if spec.datatype != tensor.datatype:
        raise ContractError(at, tensor.datatype, spec.datatype)


def _log_failure(counting: Future[None]) -> None:
    if not counting.cancelled() and (error := counting.exception()) is not None:
        _log.error("requests were not counted", extra={"reason": f"{type(error).__name__}: {error}"})
